// Package configs holds samples of settings and dial plans, and a systemd unit.
// It has no code; its tests load every sample.
package configs
