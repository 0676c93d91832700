package trace

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
)

// A capture file holds the messages as "exported PDUs": each names its protocol
// and its addresses, so that Wireshark reads what came over TLS too.
const (
	pcapMagic     = 0xa1b23c4d // times in nanoseconds
	exportedPDU   = 252        // LINKTYPE_WIRESHARK_UPPER_PDU
	tagDissector  = 12
	tagIPv4Source = 20
	tagIPv4Dest   = 21
	tagIPv6Source = 22
	tagIPv6Dest   = 23
	tagPortType   = 24
	tagSourcePort = 25
	tagDestPort   = 26
	portTypeTCP   = 2
	portTypeUDP   = 3
)

// WritePCAP writes messages as a capture file that Wireshark opens.
func WritePCAP(w io.Writer, messages []Message) error {
	out := bufio.NewWriter(w)
	head := binary.LittleEndian.AppendUint32(nil, pcapMagic)
	head = binary.LittleEndian.AppendUint16(head, 2)
	head = binary.LittleEndian.AppendUint16(head, 4)
	head = append(head, 0, 0, 0, 0, 0, 0, 0, 0) // time zone and accuracy, which nobody uses
	head = binary.LittleEndian.AppendUint32(head, 256<<10)
	head = binary.LittleEndian.AppendUint32(head, exportedPDU)
	out.Write(head)
	for _, m := range messages {
		data := append(tags(m), m.Raw...)
		record := binary.LittleEndian.AppendUint32(nil, uint32(m.Time.Unix()))
		record = binary.LittleEndian.AppendUint32(record, uint32(m.Time.Nanosecond()))
		record = binary.LittleEndian.AppendUint32(record, uint32(len(data)))
		record = binary.LittleEndian.AppendUint32(record, uint32(len(data)))
		out.Write(record)
		out.Write(data)
	}
	return out.Flush()
}

// tags say what stands before a message in the file.
func tags(m Message) []byte {
	source, dest := m.Remote, m.Local
	if m.Sent {
		source, dest = dest, source
	}
	portType := uint32(portTypeTCP)
	if m.Transport == "udp" {
		portType = portTypeUDP
	}
	b := tag(nil, tagDissector, []byte("sip"))
	b = address(b, source.Addr(), tagIPv4Source, tagIPv6Source)
	b = address(b, dest.Addr(), tagIPv4Dest, tagIPv6Dest)
	b = tag(b, tagPortType, binary.BigEndian.AppendUint32(nil, portType))
	b = tag(b, tagSourcePort, binary.BigEndian.AppendUint32(nil, uint32(source.Port())))
	b = tag(b, tagDestPort, binary.BigEndian.AppendUint32(nil, uint32(dest.Port())))
	return tag(b, 0, nil)
}

func address(b []byte, a netip.Addr, v4, v6 uint16) []byte {
	if a = a.Unmap(); a.Is4() {
		return tag(b, v4, a.AsSlice())
	}
	return tag(b, v6, a.AsSlice())
}

// tag appends one field, its value padded to four bytes.
func tag(b []byte, kind uint16, value []byte) []byte {
	padded := (len(value) + 3) &^ 3
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(padded))
	b = append(b, value...)
	return append(b, make([]byte, padded-len(value))...)
}
