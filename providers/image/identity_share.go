package image

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
)

// shareable is how large the inputs of an image may be that are kept where others can read
// them, compressed and not: some 200,000 files. What is larger cannot be read back.
const (
	shareable      = 4 << 20
	shareablePlain = 32 << 20
)

// Share makes of an identity's inputs what another machine can [Learn], the same bytes each
// time. It is nil if that would be too much to keep. Like what [Recall] returns, it has
// shortened digests and nothing that they are made of. A value that can be guessed could be
// proven by its digest: those that hidden names, and those of env files, are left out.
func (id Identity) Share(hidden func(input string) bool) []byte {
	inputs := slices.Clone(sorted(id.Inputs))
	for i, in := range inputs {
		if hidden(in.Name) || isEnvFile(in.Name) {
			inputs[i].Digest = ""
		}
	}
	plain := encodeInputs(inputs)
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
		return Identity{}, fmt.Errorf("what %s was made of is damaged: %w", tag, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, shareablePlain+1))
	if err != nil {
		return Identity{}, fmt.Errorf("what %s was made of is damaged: %w", tag, err)
	}
	inputs, ok := decodeInputs(plain)
	if !ok {
		return Identity{}, fmt.Errorf("what %s was made of is damaged", tag)
	}
	return Identity{Tag: tag, Inputs: inputs}, nil
}
