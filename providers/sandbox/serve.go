package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// DefaultIdle is how long a background sandbox runs without a request.
const DefaultIdle = 2 * time.Hour

// ServeOptions configure [Serve].
type ServeOptions struct {
	// Dir is the directory that [Start] prepared.
	Dir string
	// Idle is how long to run without a request: 0 is [DefaultIdle], negative for ever.
	Idle time.Duration
	// Log gets a line for each call; default nothing.
	Log io.Writer
	// Adjust, if set, changes the server's options before it is made.
	Adjust func(*Options)
}

// Serve is the background process of a sandbox: it runs the server that the directory's
// info file describes, until ctx ends or someone stops it.
func Serve(ctx context.Context, o ServeOptions) error {
	unlock, err := tryFile(o.Dir, serveLock)
	if err != nil {
		return err
	}
	if unlock == nil {
		return fmt.Errorf("sandbox: one is already running for %s", o.Dir)
	}
	defer unlock()
	asked, err := readInfo(o.Dir)
	if err != nil {
		return err
	}
	if asked.Token == "" {
		return fmt.Errorf("sandbox: %s was not prepared by a start", o.Dir)
	}
	options := Options{
		Dir:     filepath.Join(o.Dir, worlds, asked.Account, asked.Region),
		Account: asked.Account, Region: asked.Region, Port: asked.Port, Speed: asked.Speed, Engine: asked.Engine,
		AccessKey: asked.AccessKey, SecretKey: asked.SecretKey, Token: asked.Token, Build: asked.Build,
		Idle: DefaultIdle, Log: o.Log, Resolver: os.Getenv(resolverVariable),
	}
	if o.Idle != 0 {
		options.Idle = max(o.Idle, 0)
	}
	if o.Adjust != nil {
		o.Adjust(&options)
	}
	s, err := New(ctx, options)
	if err != nil {
		return err
	}
	info := s.Info()
	info.Source = asked.Source
	if err := writeInfo(o.Dir, info); err != nil {
		return errors.Join(err, s.close(ctx))
	}
	return s.Run(ctx)
}
