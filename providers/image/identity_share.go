package image

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// shareable is how large the inputs of an image may be that are kept where others can read
// them, compressed and not: some 200,000 files.
const (
	shareable      = 4 << 20
	shareablePlain = 32 << 20
)

// Share makes of an identity's inputs what another machine can [Learn], the same bytes each
// time. It is nil if that would be too much to keep. Like what [Recall] returns, it has
// shortened digests and nothing that they are made of.
func (id Identity) Share() []byte {
	plain := encodeInputs(sorted(id.Inputs))
	if len(plain) > shareablePlain {
		return nil
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(plain); err != nil || w.Close() != nil || out.Len() > shareable {
		return nil
	}
	return out.Bytes()
}

// Learn reads what [Identity.Share] has made of the inputs of a tag, as [Recall] does.
func Learn(tag string, shared []byte) (Identity, error) {
	r, err := gzip.NewReader(bytes.NewReader(shared))
	if err != nil {
		return Identity{}, &UnknownError{Tag: tag, err: err}
	}
	plain, err := io.ReadAll(io.LimitReader(r, shareablePlain+1))
	if err != nil {
		return Identity{}, &UnknownError{Tag: tag, err: err}
	}
	inputs, ok := decodeInputs(plain)
	if !ok {
		return Identity{}, &UnknownError{Tag: tag, err: errors.New("the inputs that a release left are damaged")}
	}
	return Identity{Tag: tag, Inputs: inputs}, nil
}
