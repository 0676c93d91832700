package rtp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEcho measures what the sockets cost: 100 sessions get 50 packets a
// second each and answer every one. The phones are a process of their own.
func BenchmarkEcho(b *testing.B) {
	const calls, seconds = 100, 4
	var echoed atomic.Int64
	targets := make([]string, calls)
	for i := range targets {
		s := open(b, telephone(netip.AddrPort{}))
		s.Receive(func(p *media.Packet) {
			if s.WritePacket(p) == nil {
				echoed.Add(1)
			}
		}, nil)
		targets[i] = s.LocalAddr().String()
		p := telephone(phonesAddr)
		if err := s.Update(p); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		echoed.Store(0)
		phones := exec.Command(os.Args[0], "-test.run=^TestPlayPhones$")
		phones.Env = append(os.Environ(), "ROOMLINE_TEST_PHONES="+strings.Join(targets, " "), fmt.Sprint("ROOMLINE_TEST_SECONDS=", seconds))
		before := cpu()
		out, err := phones.CombinedOutput()
		if err != nil {
			b.Fatalf("%v %s", err, out)
		}
		b.ReportMetric(float64(cpu()-before)/float64(time.Millisecond)/calls/seconds, "ms-cpu/call-s")
		var p50, p99 float64
		fmt.Sscanf(string(out), "echo ms %f %f", &p50, &p99)
		b.ReportMetric(p50, "ms-p50")
		b.ReportMetric(p99, "ms-p99")
		b.ReportMetric(100*float64(echoed.Load())/(calls*seconds*50), "%echoed")
	}
}

var phonesAddr = netip.MustParseAddrPort("127.0.0.77:27182")

// TestPlayPhones is BenchmarkEcho's other process: it sends 50 packets a second to
// each call from one socket, evenly spread, so that packets come alone as they do
// from the network.
func TestPlayPhones(t *testing.T) {
	list := strings.Fields(os.Getenv("ROOMLINE_TEST_PHONES"))
	if len(list) == 0 {
		t.Skip("the phones of BenchmarkEcho")
	}
	seconds, _ := strconv.Atoi(os.Getenv("ROOMLINE_TEST_SECONDS"))
	phones, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(phonesAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer phones.Close()
	var targets []netip.AddrPort
	var packets [][]byte
	for i, s := range list {
		targets = append(targets, netip.MustParseAddrPort(s))
		packets = append(packets, wire(t, 0, 0, 0, uint32(i), make([]byte, 160)))
	}
	gap := 20 * time.Millisecond / time.Duration(len(targets))
	start := time.Now()
	delays := make(chan []float64)
	go func() { delays <- echoDelays(phones, start) }()
	for n := range seconds * 50 * len(targets) {
		if wait := time.Until(start.Add(time.Duration(n) * gap)); wait > 0 {
			ts := syscall.NsecToTimespec(int64(wait))
			syscall.Nanosleep(&ts, nil)
		}
		p, round := packets[n%len(targets)], n/len(targets)
		p[2], p[3] = byte(round>>8), byte(round)
		binary.BigEndian.PutUint64(p[headerSize:], uint64(time.Since(start)))
		phones.WriteToUDPAddrPort(p, targets[n%len(targets)])
	}
	phones.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	d := <-delays
	slices.Sort(d)
	fmt.Printf("echo ms %.3f %.3f\n", d[len(d)/2], d[len(d)*99/100])
}

// echoDelays reads what comes back until the deadline; each packet says when it left.
func echoDelays(c *net.UDPConn, start time.Time) (ms []float64) {
	b := make([]byte, maxPacket)
	for {
		n, err := c.Read(b)
		if err != nil {
			return ms
		}
		if n >= headerSize+8 {
			left := time.Duration(binary.BigEndian.Uint64(b[headerSize:]))
			ms = append(ms, media.Milliseconds(time.Since(start)-left))
		}
	}
}
