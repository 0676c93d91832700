package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// detection is machine_detection of POST /v1/calls: true, false or an object.
type detection struct {
	On    bool
	Limit int // ms; 0: the usual
}

// detectionSettings is the object; its bounds are checked by the bridge.
type detectionSettings struct {
	LimitMS int `json:"limit_ms,omitempty"`
}

// Schema implements huma.SchemaProvider.
func (detection) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeBoolean},
		{Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"limit_ms": {Type: huma.TypeInteger, Description: "milliseconds after the answer within which there is a verdict, 1000 to 10000; 2500 when absent"},
		}},
	}}
}

// UnmarshalJSON takes either form.
func (d *detection) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &d.On); err == nil {
		return nil
	}
	var s detectionSettings
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return fmt.Errorf("machine_detection: expected true, false or an object with limit_ms")
	}
	d.On, d.Limit = true, s.LimitMS
	return nil
}

// MarshalJSON writes what tells two requests apart.
func (d detection) MarshalJSON() ([]byte, error) {
	if !d.On || d.Limit == 0 {
		return json.Marshal(d.On)
	}
	return json.Marshal(detectionSettings{d.Limit})
}

// machine is what is asked of who answers; nil: nothing.
func (b *callBody) machine() *bridge.MachineSpec {
	if b.Machine == "" && (b.Detection == nil || !b.Detection.On) {
		return nil
	}
	m := &bridge.MachineSpec{Then: b.Machine}
	if b.Detection != nil {
		m.Limit = time.Duration(b.Detection.Limit) * time.Millisecond
	}
	return m
}
