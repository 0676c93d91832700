package socket

import (
	"bytes"
	"net"
	"strings"
)

// facedAddr is a UDP peer's address as sipgo is shown it: with one zero in front
// of the port for each face before ours. To every parser it is the same address;
// as text, which is what sipgo keys its sockets by, it is not. Thus a peer that
// speaks to two of our sockets gets each answer from the one that it asked.
type facedAddr struct {
	net.Addr
	face int
}

func (a facedAddr) String() string {
	text := a.Addr.String()
	i := strings.LastIndexByte(text, ':') + 1
	return text[:i] + strings.Repeat("0", a.face) + text[i:]
}

// FaceIndex reads the face off a source that sipgo was shown.
func FaceIndex(source string) int {
	port := source[strings.LastIndexByte(source, ':')+1:]
	return len(port) - len(strings.TrimLeft(port, "0"))
}

// plainPort takes the zeros off the rport that sipgo wrote into a response.
func plainPort(data []byte) []byte {
	const mark = ";rport=0"
	at := bytes.Index(data, []byte(mark))
	if at < 0 || !bytes.HasPrefix(data, []byte("SIP/2.0 ")) {
		return data
	}
	at += len(mark) - 1
	digits := bytes.TrimLeft(data[at:], "0")
	return append(append([]byte(nil), data[:at]...), digits...)
}
