package store

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
)

// content is data that compresses by about half.
func content(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		if i%64 < 32 {
			b[i] = byte(r.UintN(256))
		}
	}
	return b
}

func packAll(t *testing.T, plain []byte) []byte {
	want, _, err := v1.SHA256(bytes.NewReader(plain))
	require.NoError(t, err)
	r := pack(io.NopCloser(bytes.NewReader(plain)), want)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return got
}

func TestPack_isGzipOfWhatWentIn(t *testing.T) {
	for _, size := range []int{0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 3*blockBytes + 7} {
		plain := content(uint64(size), size)
		z, err := stdgzip.NewReader(bytes.NewReader(packAll(t, plain)))
		require.NoError(t, err)
		back, err := io.ReadAll(z)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, back), "%d bytes", size)
	}
}

func TestPack_makesTheSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	plain := content(1, 5*blockBytes+3)
	one := packAll(t, plain)
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	require.True(t, bytes.Equal(one, packAll(t, plain)))
	require.Less(t, len(one), len(plain)*6/10)
}

func TestPack_failsAtTheEndOfWhatIsNotTheLayer(t *testing.T) {
	r := pack(io.NopCloser(bytes.NewReader([]byte("other"))), v1.Hash{Algorithm: "sha256", Hex: "00"})
	defer r.Close()
	_, err := io.ReadAll(r)
	var damaged *DamagedError
	require.ErrorAs(t, err, &damaged)
	require.ErrorContains(t, err, "layer sha256:00 is damaged: sha256:")
}

func TestPack_passesOnWhyItCannotRead(t *testing.T) {
	why := errors.New("input/output error")
	r := pack(io.NopCloser(io.MultiReader(bytes.NewReader(content(1, 3*blockBytes)), failing{why})), v1.Hash{})
	defer r.Close()
	_, err := io.ReadAll(r)
	require.ErrorIs(t, err, why)
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// closing counts how often it is closed.
type closing struct {
	io.Reader
	n int
}

func (c *closing) Close() error { c.n++; return nil }

func TestPack_canBeClosedAtAnyTime(t *testing.T) {
	for _, n := range []int{0, 1, 100, blockBytes, 4 * blockBytes} {
		src := &closing{Reader: bytes.NewReader(content(1, 20*blockBytes))}
		r := pack(src, v1.Hash{})
		_, err := io.CopyN(io.Discard, r, int64(n))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		require.Equal(t, 1, src.n)
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, errClosed, "not the end, which would look like all of it")
	}
}
