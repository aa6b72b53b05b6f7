package ssm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type view struct {
	Name, Type, Value string
	Version           int64
	Selector          string `json:",omitempty"`
	LastModifiedDate  wire.Time
	ARN, DataType     string
}

// show is one version of p; the parameter's own newest for "".
func (s *Service) show(p *parameter, selector string, decrypt bool) (view, error) {
	number := p.Version
	if selector != "" {
		n, err := strconv.ParseInt(selector, 10, 64)
		if err != nil {
			n = -1 // a label, and the sandbox keeps none
		}
		number = n
	}
	kept, ok := p.Versions[number]
	if !ok {
		return view{}, wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, p.Name)
	}
	v := view{
		Name: p.Name, Type: kept.Type, Version: number, LastModifiedDate: wire.At(kept.Modified),
		ARN: s.arn(p.Name), DataType: p.DataType,
	}
	if selector != "" {
		v.Selector = ":" + selector
	}
	if kept.Type == "SecureString" && !decrypt {
		v.Value = "AQICAH" + kept.Sealed // as KMS's ciphertexts begin
		return v, nil
	}
	var err error
	v.Value, err = s.box.Open(p.Name, kept.Sealed)
	return v, err
}

// split takes a selector off a name or an ARN: "/x:3" is version 3 of /x.
func split(ref string) (name, selector string) {
	colon := strings.LastIndexByte(ref, ':')
	if colon < 0 || strings.HasPrefix(ref, "arn:") && strings.Count(ref, ":") < 6 {
		return ref, ""
	}
	return ref[:colon], ref[colon+1:]
}

func (s *Service) find(ref string, decrypt bool) (v view, err error) {
	name, selector := split(ref)
	name = s.nameOf(name)
	s.doc.View(func(all *parameters) {
		p := all.ByName[name]
		if p == nil {
			err = notFound()
			return
		}
		v, err = s.show(p, selector, decrypt)
	})
	return v, err
}

type getIn struct {
	Name           string
	WithDecryption bool
}

type getOut struct{ Parameter view }

func (s *Service) get(_ context.Context, in getIn) (out getOut, err error) {
	var c wire.Checks
	c.Present("name", in.Name != "")
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	out.Parameter, err = s.find(in.Name, in.WithDecryption)
	return out, err
}

type getManyIn struct {
	Names          []string
	WithDecryption bool
}

type getManyOut struct {
	Parameters        []view
	InvalidParameters []string
}

func (s *Service) getMany(_ context.Context, in getManyIn) (getManyOut, error) {
	out := getManyOut{[]view{}, []string{}}
	if err := checkNames(in.Names); err != nil {
		return out, err
	}
	for i, name := range in.Names {
		if slices.Contains(in.Names[:i], name) {
			return out, invalid("Requested duplicate names")
		}
		v, err := s.find(name, in.WithDecryption)
		var e *wire.Error
		switch {
		case errors.As(err, &e):
			out.InvalidParameters = append(out.InvalidParameters, name)
		case err != nil:
			return out, err
		default:
			out.Parameters = append(out.Parameters, v)
		}
	}
	return out, nil
}

type getByPathIn struct {
	Path             string
	Recursive        bool
	ParameterFilters []filter
	WithDecryption   bool
	MaxResults       *int
	NextToken        string
}

type getByPathOut struct {
	Parameters []view
	NextToken  string `json:",omitempty"`
}

func (s *Service) getByPath(_ context.Context, in getByPathIn) (out getByPathOut, err error) {
	out.Parameters = []view{}
	var c wire.Checks
	c.Present("path", in.Path != "")
	c.Range("maxResults", in.MaxResults, 1, 10)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	option := "OneLevel"
	if in.Recursive {
		option = "Recursive"
	}
	filters := append([]filter{{"Path", option, []string{in.Path}}}, in.ParameterFilters...)
	for _, f := range in.ParameterFilters {
		if f.Key != "Type" && f.Key != "KeyId" && f.Key != "Label" {
			return out, wire.Errorf("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: [Type, KeyId, Label].", f.Key)
		}
	}
	page, next, err := s.list("GetParametersByPath "+in.Path, filters, in.NextToken, limit(in.MaxResults, 10))
	if err != nil {
		return out, err
	}
	out.NextToken = next
	for _, p := range page {
		v, err := s.show(&p, "", in.WithDecryption)
		if err != nil {
			return out, err
		}
		out.Parameters = append(out.Parameters, v)
	}
	return out, nil
}

type describeIn struct {
	Filters          []oldFilter
	ParameterFilters []filter
	MaxResults       *int
	NextToken        string
}

type oldFilter struct {
	Key    string
	Values []string
}

type metadata struct {
	Name, ARN, Type  string
	KeyId            string `json:",omitempty"`
	LastModifiedDate wire.Time
	LastModifiedUser string
	Description      string `json:",omitempty"`
	AllowedPattern   string `json:",omitempty"`
	Version          int64
	Tier             string
	Policies         []struct{}
	DataType         string
}

type describeOut struct {
	Parameters []metadata
	NextToken  string `json:",omitempty"`
}

func (s *Service) describe(_ context.Context, in describeIn) (out describeOut, err error) {
	out.Parameters = []metadata{}
	var c wire.Checks
	c.Range("maxResults", in.MaxResults, 1, 50)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return out, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	filters := in.ParameterFilters
	for _, old := range in.Filters { // the older form: names begin with the value
		option := "Equals"
		if old.Key == "Name" {
			option = "BeginsWith"
		}
		filters = append(filters, filter{old.Key, option, old.Values})
	}
	page, next, err := s.list(fmt.Sprint("DescribeParameters", filters), filters, in.NextToken, limit(in.MaxResults, 50))
	if err != nil {
		return out, err
	}
	out.NextToken = next
	for _, p := range page {
		out.Parameters = append(out.Parameters, metadata{
			Name: p.Name, ARN: s.arn(p.Name), Type: p.Type, KeyId: p.KeyID, LastModifiedDate: wire.At(p.Modified),
			LastModifiedUser: "arn:aws:iam::" + s.account + ":user/sandbox",
			Description:      p.Description, AllowedPattern: p.AllowedPattern, Version: p.Version, Tier: p.Tier,
			Policies: []struct{}{}, DataType: p.DataType,
		})
	}
	return out, nil
}

func limit(asked *int, most int) int {
	if asked != nil {
		return *asked
	}
	return most
}

// list returns a page of copies of the parameters that pass the filters, by name.
func (s *Service) list(what string, filters []filter, token string, limit int) (page []parameter, next string, err error) {
	for _, f := range filters {
		if err := f.check(); err != nil {
			return nil, "", err
		}
	}
	s.doc.View(func(all *parameters) {
		var found []parameter
		for _, name := range slices.Sorted(maps.Keys(all.ByName)) {
			p := all.ByName[name]
			if !slices.ContainsFunc(filters, func(f filter) bool { return !f.passes(p) }) {
				found = append(found, p.clone())
			}
		}
		page, next, err = wire.Page(what, found, func(p parameter) string { return p.Name }, token, limit)
	})
	if errors.Is(err, wire.ErrToken) {
		err = wire.Errorf("InvalidNextToken", "The specified token is not valid.")
	}
	return page, next, err
}

// clone copies what readers look at after the state's lock is gone.
func (p *parameter) clone() parameter {
	c := *p
	c.Versions, c.Tags = maps.Clone(p.Versions), maps.Clone(p.Tags)
	return c
}
