package bridge

// blockLength is how much sound a block of a backlog holds: half a second of G.711.
const blockLength = 4096

// backlog is sound that waits to be played: bytes, first in, first out. It takes as
// much memory as waits, in blocks that are given back as they are played; one is
// kept for the sound that comes next. The zero value is empty.
type backlog struct {
	blocks []*[blockLength]byte
	head   int // of the first block: what has been played
	n      int // bytes that wait
	spare  *[blockLength]byte
}

// push adds a copy of sound.
func (b *backlog) push(sound []byte) {
	for len(sound) > 0 {
		at := b.head + b.n
		if at == len(b.blocks)*blockLength {
			b.blocks = append(b.blocks, b.block())
		}
		n := copy(b.blocks[at/blockLength][at%blockLength:], sound)
		sound = sound[n:]
		b.n += n
	}
}

func (b *backlog) block() *[blockLength]byte {
	if k := b.spare; k != nil {
		b.spare = nil
		return k
	}
	return new([blockLength]byte)
}

// pull takes out the first bytes, as many as there are and sound has room for.
func (b *backlog) pull(sound []byte) (n int) {
	for n < len(sound) && b.n > 0 {
		part := copy(sound[n:], b.blocks[0][b.head:min(blockLength, b.head+b.n)])
		n, b.head, b.n = n+part, b.head+part, b.n-part
		if b.head == blockLength || b.n == 0 {
			b.drop()
		}
	}
	return n
}

// drop gives back the first block.
func (b *backlog) drop() {
	b.spare, b.head = b.blocks[0], 0
	last := copy(b.blocks, b.blocks[1:])
	b.blocks[last] = nil
	if b.blocks = b.blocks[:last]; last == 0 && cap(b.blocks) > 64 {
		b.blocks = nil
	}
}

// clear drops everything, and returns how many bytes waited.
func (b *backlog) clear() (dropped int) {
	dropped = b.n
	*b = backlog{spare: b.spare}
	return dropped
}
