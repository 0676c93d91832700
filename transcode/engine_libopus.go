//go:build libopus

package transcode

// opusEngine is the engine of this build. It is a variable for its pools' sake.
var opusEngine = &libopusEngine
