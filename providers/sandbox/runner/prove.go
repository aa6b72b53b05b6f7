package runner

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// proofTimeout bounds one trial of an engine.
const proofTimeout = 30 * time.Second

// prove removes what an earlier sandbox left and runs the smallest possible container:
// an engine that answers but cannot run anything is of no use, and whether it can
// limit anything is known by trying.
func (c *cli) prove(ctx context.Context) error {
	if err := c.clean(ctx); err != nil {
		return err
	}
	img, err := trialImage(c.platform)
	if err != nil {
		return err
	}
	if img == nil {
		c.limits = true
		return nil
	}
	c.limits = true
	limited := c.trial(ctx, img)
	if limited == nil {
		return nil
	}
	c.limits = false
	if err := c.trial(ctx, img); err != nil {
		return errors.Join(fmt.Errorf("it answers but cannot run a container: %w", err), c.clean(ctx))
	}
	return nil
}

func (c *cli) trial(ctx context.Context, img v1.Image) error {
	return trial(ctx, img, func(ctx context.Context, s Spec) (Instance, error) { return c.start(ctx, s) })
}

// trial starts an instance of the trial image and sees it end.
func trial(ctx context.Context, img v1.Image, start func(context.Context, Spec) (Instance, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, proofTimeout, fmt.Errorf("a trial container took longer than %s", proofTimeout))
	defer cancel()
	var said []string
	i, err := start(ctx, Spec{
		ID: "trial", Image: img, Ref: "a trial image", Port: 1, CPUUnits: 256, MemoryMiB: 64,
		Output: func(l string) { said = append(said, l) },
	})
	if err != nil {
		return err
	}
	select {
	case <-i.Done():
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), i.Stop(ctx, 0))
	}
	if e := i.Exit(); e.Err != nil {
		return e.Err
	} else if e.Code != trialCode {
		return fmt.Errorf("a trial container ended with code %d: %s", e.Code, strings.Join(said, "; "))
	}
	return nil
}

func (c *cli) limited() string {
	if c.limits {
		return "CPU and memory limits are enforced"
	}
	return "CPU and memory limits are not enforced, since the engine cannot set them here"
}

// trialCode is what the trial program exits with.
const trialCode = 42

// trialImage holds a program that only exits, written in machine code, since no
// compiler need be here. It is nil for a processor it does not know.
func trialImage(platform string) (v1.Image, error) {
	_, arch, _ := strings.Cut(platform, "/")
	var machine uint16
	var code []byte
	switch arch {
	case "amd64": // mov eax, 60 (exit); mov edi, 42; syscall
		machine, code = 62, []byte{0xb8, 60, 0, 0, 0, 0xbf, trialCode, 0, 0, 0, 0x0f, 0x05}
	case "arm64": // mov x8, #93 (exit); mov x0, #42; svc #0
		machine, code = 183, []byte{0xa8, 0x0b, 0x80, 0xd2, 0x40, 0x05, 0x80, 0xd2, 0x01, 0, 0, 0xd4}
	default:
		return nil, nil
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	elf := minimalELF(machine, code)
	if err := w.WriteHeader(&tar.Header{Name: "exit", Mode: 0o755, Size: int64(len(elf))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(elf); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(b.Bytes(), types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, func() *v1.ConfigFile {
		cfg, err := img.ConfigFile()
		if err != nil {
			return nil
		}
		cfg = cfg.DeepCopy()
		cfg.OS, cfg.Architecture, cfg.Config.Entrypoint = "linux", arch, []string{"/exit"}
		return cfg
	}())
}

// minimalELF is a static 64-bit little-endian executable of one segment.
func minimalELF(machine uint16, code []byte) []byte {
	const base, headers = 0x400000, 64 + 56
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	size := uint64(headers + len(code))
	for _, v := range []any{
		uint16(2), machine, uint32(1), uint64(base + headers), uint64(64), uint64(0), // type, version, entry, phoff, shoff
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0), // flags, sizes and counts
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000), // PT_LOAD, r-x
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // to memory: cannot fail
	}
	b.Write(code)
	return b.Bytes()
}
