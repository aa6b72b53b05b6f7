package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/render"
)

// told is what a comment says. Its marker holds this, and the text of the comment follows
// from it: text that does not is none of ours. Values of the environment are in it by name.
type told struct {
	Approval    string               `json:"approval"` // the fingerprint as one text
	Fingerprint approval.Fingerprint `json:"fingerprint"`
	Since       *render.Since        `json:"since,omitempty"`
	Plan        *render.Plan         `json:"plan"`
	// Failed is why there is no plan of the newest commit: then the rest is the last that there
	// was, for the next to be compared with.
	Failed []render.Problem `json:"failed,omitempty"`
}

// toldMax is the longest that a marker may unfold to, in bytes.
const toldMax = 8 << 20

// hiding is what puts the names of variables in the place of what the manifests took from
// the environment and from env files, unless they hold the same text themselves, and hides secrets.
func (s *session) hiding() (func(string) string, error) {
	var files []string
	for _, spec := range s.specs {
		files = append(files, spec.File)
	}
	return s.a.hiding(s.set, files)
}

func (a *app) hiding(set *manifest.Set, files []string) (func(string) string, error) {
	var written bytes.Buffer
	for _, file := range files {
		data, err := a.readFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the manifest again: %w", err)
		}
		written.Write(data)
	}
	foreign := map[string]string{}
	for v, name := range set.Variables {
		if !strings.Contains(written.String(), v) {
			foreign[v] = name
		}
	}
	names := render.Names(foreign)
	return func(text string) string { return a.out.Redact(names(text)) }, nil
}

// tell is what a comment is to say of a plan, and of what it said before.
func (s *session) tell(p planned, hide func(string) string, before *told) told {
	f := s.fingerprint(p)
	t := told{Approval: f.String(), Fingerprint: f.Named(hide), Plan: s.public(p, hide).Displayed()}
	if before != nil {
		t.Since = &render.Since{}
		t.Since.Added, t.Since.Changed, t.Since.Gone = t.Fingerprint.Since(before.Fingerprint)
	}
	return t
}

// public is the view of a plan for whoever may read the repository: its files are named by
// their place there, wherever the run stands.
func (s *session) public(p planned, hide func(string) string) *render.Plan {
	v := s.view(p)
	for i, file := range v.Header.Manifests {
		v.Header.Manifests[i] = s.a.inRepository(file)
	}
	return v.Named(hide)
}

// same reports whether other says the same, whatever was said before.
func (t told) same(other told) bool {
	return slices.Equal(t.Failed, other.Failed) && t.Fingerprint.String() == other.Fingerprint.String() && t.Approval == other.Approval && t.Plan.Same(other.Plan)
}

// marker begins the comment of these manifests, this environment and these services, however
// they are written and from wherever in the repository they are planned.
func (a *app) marker() string {
	files := slices.Clone(a.files)
	if len(files) == 0 {
		files = []string{"deploy.yaml"}
	}
	for i, f := range files {
		files[i] = a.inRepository(f)
	}
	h := sha256.New()
	for _, set := range [][]string{{a.environment}, files, a.only} {
		set = slices.Compact(slices.Sorted(slices.Values(set)))
		fmt.Fprintf(h, "%d:", len(set))
		for _, text := range set {
			fmt.Fprintf(h, "%d:%s", len(text), text)
		}
	}
	return "<!-- apron:plan " + hex.EncodeToString(h.Sum(nil))[:32] + " "
}

// compose writes the comment, of at most so many characters. What JSON cannot hold, a marker cannot: so the text is that
// of what comes back from it.
func (a *app) compose(t told, room int) (string, error) {
	data, err := json.Marshal(t)
	if err == nil {
		t = told{}
		err = json.Unmarshal(data, &t)
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // which is a level
	if _, writeErr := z.Write(data); err == nil {
		err = errors.Join(writeErr, z.Close())
	}
	if err != nil {
		return "", fmt.Errorf("comment: %w", err)
	}
	// Letters of base64 end no comment of HTML.
	return a.text(t, a.marker()+base64.RawStdEncoding.EncodeToString(packed.Bytes())+" -->", room), nil
}

func (a *app) text(t told, marker string, room int) string {
	c := render.Comment{Marker: marker, Short: a.marker() + "cut -->", Fingerprint: t.Approval, Since: t.Since, Max: room}
	body := ""
	if len(t.Failed) > 0 {
		body = c.Unplanned(t.Failed)
	} else {
		body = c.Body(t.Plan)
	}
	first, rest, _ := strings.Cut(body, "\n")
	return first + "\n" + a.out.Redact(rest)
}

// intact reports whether the text of a comment is what follows from its marker. GitHub
// gives line ends back as they were sent, and browsers send their own.
func (a *app) intact(t told, body string, room int) bool {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	marker, _, _ := strings.Cut(body, "\n")
	return strings.TrimSpace(a.text(t, marker, room)) == strings.TrimSpace(body)
}

// sound reports whether the plan is one that apron can have made, of what the fingerprint
// approves and nothing else: who forges a marker must not be able to hide what it approves.
func (t *told) sound() bool {
	var ids []string
	for _, s := range t.Fingerprint.Steps {
		ids = append(ids, s.ID)
	}
	return t.Plan.Sound(ids)
}

// marked reports whether a comment is the one of these manifests, and what it tells; nil
// where it is cut, or cannot be read. Only the very start counts: what a plan shows of
// foreign text comes later.
func (a *app) marked(body string) (*told, bool) {
	rest, ok := strings.CutPrefix(body, a.marker())
	if !ok {
		return nil, false
	}
	text, _, _ := strings.Cut(rest, " -->")
	t, err := unpack(text)
	if err != nil {
		return nil, true
	}
	return t, true
}

// unpack reads what a marker holds.
func unpack(text string) (*told, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(text)))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(z, toldMax))
	if err != nil {
		return nil, err
	}
	var t told
	switch err := json.Unmarshal(data, &t); {
	case err != nil:
		return nil, err
	case t.Plan == nil || t.Plan.FormatVersion != render.FormatVersion || t.Fingerprint.Version != approval.Version:
		return nil, errors.New("is of another version")
	}
	return &t, nil
}
