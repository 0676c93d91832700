package webrtc

import (
	"fmt"
	"testing"

	"github.com/pion/srtp/v3"
)

func TestRollover(t *testing.T) {
	for _, c := range []struct {
		numbers []uint16
		want    []uint64
	}{
		{[]uint16{0, 1, 2}, []uint64{0, 1, 2}},
		{[]uint16{65534, 65535, 0, 1}, []uint64{65534, 65535, 65536, 65537}},
		{[]uint16{65534, 0, 65535, 1}, []uint64{65534, 65536, 65535, 65537}}, // out of order at the wrap
		{[]uint16{100, 65500, 101}, []uint64{100, 65500, 65536 + 101}},       // nothing is before counter 0
		{[]uint16{40000, 7000, 40000, 7000}, []uint64{40000, 65536 + 7000, 40000, 65536 + 7000}},
		{[]uint16{30000, 60000, 25000, 55000, 20000}, []uint64{30000, 60000, 65536 + 25000, 65536 + 55000, 2*65536 + 20000}},
	} {
		var r rollover
		for i, n := range c.numbers {
			got := r.index(n)
			if got != c.want[i] {
				t.Errorf("%d: packet %d has index %d, want %d", c.numbers, i, got, c.want[i])
			}
			r.saw(got)
		}
	}
}

func TestWindow(t *testing.T) {
	var w window
	steps := []struct {
		index uint64
		fresh bool
	}{
		{10, true}, {10, false}, {12, true}, {11, true}, {11, false}, {12, false}, {10, false}, {74, true},
		{11, false}, {13, true}, {10, false}, {75, true}, {13, false}, {1000, true}, {937, true}, {936, false}, {1000, false},
	}
	for i, s := range steps {
		got := w.fresh(s.index)
		if got != s.fresh {
			t.Errorf("step %d: index %d: fresh %v", i, s.index, got)
		}
		if got {
			w.saw(s.index)
		}
	}
}

// FuzzWindow compares the window with a set that forgets nothing.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{1, 2, 3, 250, 7})
	f.Fuzz(func(t *testing.T, moves []byte) {
		var w window
		seen, at := map[uint64]bool{}, int64(1<<17)
		for i, m := range moves {
			at = max(at+int64(int8(m)), 0)
			index := uint64(at)
			want := !seen[index] && (i == 0 || index+64 > w.highest)
			if got := w.fresh(index); got != want {
				t.Fatalf("move %d to %d, highest %d: fresh %v", i, index, w.highest, got)
			}
			if want {
				w.saw(index)
				seen[index] = true
			}
		}
	})
}

// pair is two ends of SRTP by [cryptor] and one of pion's own counting.
func pair(t testing.TB, profile srtp.ProtectionProfile) (a, b *keys, reference *srtp.Context) {
	t.Helper()
	size, _ := profile.KeyLen()
	salt, _ := profile.SaltLen()
	of := func(n int, with byte) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = with + byte(i)
		}
		return out
	}
	secrets := func(l, r byte) srtp.SessionKeys {
		return srtp.SessionKeys{LocalMasterKey: of(size, l), LocalMasterSalt: of(salt, l), RemoteMasterKey: of(size, r), RemoteMasterSalt: of(salt, r)}
	}
	var err error
	if a, err = newKeys(profile, secrets(1, 50)); err != nil {
		t.Fatal(err)
	}
	if b, err = newKeys(profile, secrets(50, 1)); err != nil {
		t.Fatal(err)
	}
	if reference, err = srtp.CreateContext(of(size, 1), of(salt, 1), profile); err != nil {
		t.Fatal(err)
	}
	return a, b, reference
}

// Both ends of the short road agree with pion's contexts over several wraps of
// the sequence number, wherever a stream changes from one road to the other.
func TestRollOverCountersAgreeWithPions(t *testing.T) {
	for _, profile := range []srtp.ProtectionProfile{
		srtp.ProtectionProfileAeadAes128Gcm, srtp.ProtectionProfileAeadAes256Gcm, srtp.ProtectionProfileAes128CmHmacSha1_80,
	} {
		t.Run(fmt.Sprint(profile), func(t *testing.T) {
			a, b, reference := pair(t, profile)
			var out, in rollover
			plain, sealed, opened := sound(111, 0), make([]byte, 0, maxPacket), make([]byte, maxPacket)
			for n := range uint32(200_000) {
				seq := uint16(65_000 + n)
				plain[2], plain[3] = byte(seq>>8), byte(seq)
				want, err := reference.EncryptRTP(nil, plain, nil)
				if err != nil {
					t.Fatal(err)
				}
				i := out.index(seq)
				out.saw(i)
				if n%5 == 0 { // the other road took it
					in.saw(in.index(seq))
					continue
				}
				got, err := a.seal.seal(append(sealed, plain...), 7, uint32(i>>16))
				if err != nil || string(got) != string(want) {
					t.Fatalf("packet %d is sealed otherwise than by pion (%v)", n, err)
				}
				j := in.index(seq)
				back, err := b.open.open(opened[:0], got, 7, uint32(j>>16))
				if err != nil || string(back) != string(plain) {
					t.Fatalf("packet %d is not opened: %v", n, err)
				}
				in.saw(j)
			}
			if out.highest>>16 != 4 {
				t.Errorf("%d wraps", out.highest>>16)
			}
		})
	}
}

func TestCryptorsDoNotAllocate(t *testing.T) {
	a, b, _ := pair(t, srtp.ProtectionProfileAeadAes128Gcm)
	buf, opened := make([]byte, maxPacket), make([]byte, maxPacket)
	plain := sound(111, 0)
	n := testing.AllocsPerRun(1000, func() {
		plain[3]++
		sealed, err := a.seal.seal(buf[:copy(buf, plain)], 7, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.open.open(opened[:0], sealed, 7, 0); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
