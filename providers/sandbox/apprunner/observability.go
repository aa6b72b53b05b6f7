package apprunner

import (
	"context"
	"fmt"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Quotas of observability configurations; the second is not adjustable.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const (
	maxObservabilityNames     = 10
	maxObservabilityRevisions = 10
)

// observability is one revision as stored.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ObservabilityConfiguration.html
type observability struct {
	revised
	Vendor string // of tracing: AWSXRAY, or "" without
}

type traceShape struct {
	Vendor *string `json:",omitempty"`
}

// observabilitySummary is all that lists tell.
type observabilitySummary struct {
	ObservabilityConfigurationArn      string
	ObservabilityConfigurationName     string
	ObservabilityConfigurationRevision int
}

type observabilityFull struct {
	observabilitySummary
	TraceConfiguration *traceShape `json:",omitempty"`
	Latest             bool
	Status             string
	CreatedAt          wire.Time
	DeletedAt          wire.Time `json:",omitzero"`
}

var observabilityARN = partialARN("observabilityconfiguration")

func (o *observability) summary() observabilitySummary {
	return observabilitySummary{o.ARN, o.Name, o.Revision}
}

func (st *state) describeObservability(o *observability) *observabilityFull {
	newest, _ := latest(st.Observabilities, o.Name)
	full := &observabilityFull{
		observabilitySummary: o.summary(), Latest: newest == o,
		Status: o.status(), CreatedAt: o.CreatedAt, DeletedAt: o.DeletedAt,
	}
	if o.Vendor != "" {
		full.TraceConfiguration = &traceShape{&o.Vendor}
	}
	return full
}

type createObservabilityInput struct {
	ObservabilityConfigurationName *string
	TraceConfiguration             *traceShape
	Tags                           []tagShape
}

type observabilityOutput struct{ ObservabilityConfiguration *observabilityFull }

func (s *Service) createObservability(_ context.Context, in createObservabilityInput) (out observabilityOutput, err error) {
	var c checks
	c.name("observabilityConfigurationName", in.ObservabilityConfigurationName, scalingName, 32)
	vendor := ""
	if t := in.TraceConfiguration; t != nil {
		c.Present("traceConfiguration.vendor", t.Vendor != nil)
		c.EnumOf("traceConfiguration.vendor", t.Vendor, "AWSXRAY")
		vendor = value(t.Vendor)
	}
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return out, err
	}
	name := *in.ObservabilityConfigurationName
	if name == outOfTheBox {
		return out, wire.Errorf(invalidRequest, "You can't use the reserved observability configuration name: '%s'.", name)
	}
	made := &observability{revised: revised{Name: name, CreatedAt: s.now(), Tags: map[string]string{}}, Vendor: vendor}
	put(made.Tags, in.Tags)
	err = s.doc.Update(func(st *state) error {
		s.purge(st)
		revisions, others := named(st.Observabilities, name, outOfTheBox)
		switch {
		case revisions >= maxObservabilityRevisions:
			return quota(maxObservabilityRevisions, "revisions of the observability configuration %s", name)
		case revisions == 0 && others >= maxObservabilityNames:
			return quota(maxObservabilityNames, "observability configurations")
		}
		if st.ObservabilityRevisions == nil {
			st.ObservabilityRevisions = map[string]int{}
		}
		st.ObservabilityRevisions[name]++
		made.Revision = st.ObservabilityRevisions[name]
		made.ARN = s.arn("observabilityconfiguration/%s/%d/%s", name, made.Revision, hex32())
		st.Observabilities = append(st.Observabilities, made)
		out.ObservabilityConfiguration = st.describeObservability(made)
		return nil
	})
	return out, err
}

// seedObservability makes the configuration that every account has, once.
func (s *Service) seedObservability(st *state) {
	if len(st.Observabilities) > 0 {
		return
	}
	st.Observabilities = []*observability{{
		revised: revised{
			ARN:  s.arn("observabilityconfiguration/%s/1/%032d", outOfTheBox, 1),
			Name: outOfTheBox, Revision: 1, CreatedAt: s.now(), Tags: map[string]string{},
		},
		Vendor: "AWSXRAY",
	}}
}

type observabilityInput struct{ ObservabilityConfigurationArn *string }

func (in observabilityInput) check() error {
	var c checks
	c.arn("observabilityConfigurationArn", in.ObservabilityConfigurationArn)
	return c.err()
}

func (s *Service) findObservability(st *state, arn string) (*observability, error) {
	if !observabilityARN().MatchString(arn) {
		return nil, invalidObservability(arn)
	}
	o, ok := lookUp(st.Observabilities, observabilityARN, arn)
	if !ok || s.forgotten(!o.active(), o.DeletedAt) {
		return nil, wire.Errorf(notFound, "The observability configuration you specified doesn't exist. ARN: '%s'", arn)
	}
	return o, nil
}

func invalidObservability(arn string) error {
	return wire.Errorf(invalidRequest, "The observability configuration ARN you specified isn't valid. ARN: '%s'", arn)
}

func (s *Service) describeObservabilityConfiguration(_ context.Context, in observabilityInput) (out observabilityOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	s.doc.View(func(st *state) {
		var o *observability
		if o, err = s.findObservability(st, *in.ObservabilityConfigurationArn); err == nil {
			out.ObservabilityConfiguration = st.describeObservability(o)
		}
	})
	return out, err
}

func (s *Service) deleteObservability(_ context.Context, in observabilityInput) (out observabilityOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	err = s.doc.Update(func(st *state) error {
		o, err := s.findObservability(st, *in.ObservabilityConfigurationArn)
		switch {
		case err != nil:
			return err
		case !o.active():
			return wire.Errorf(invalidRequest, "The observability configuration you specified has been deleted. ARN: '%s'", o.ARN)
		case o.Name == outOfTheBox:
			return wire.Errorf(invalidRequest, "You can't delete a reserved observability configuration: '%s'.", o.Name)
		case len(st.usersOf(func(c config) bool { return value(c.ObservabilityConfiguration.ObservabilityConfigurationArn) == o.ARN })) > 0:
			return wire.Errorf(invalidRequest, "You can't delete the observability configuration. It's used by one or more services. To delete it, update the services to use other observability configurations.")
		}
		o.DeletedAt = s.now()
		out.ObservabilityConfiguration = st.describeObservability(o)
		return nil
	})
	return out, err
}

type listObservabilityInput struct {
	ObservabilityConfigurationName *string
	LatestOnly                     *bool
	pageInput
}

type listObservabilityOutput struct {
	ObservabilityConfigurationSummaryList []observabilitySummary
	NextToken                             string `json:",omitempty"`
}

// listObservability lists active revisions, by default the latest of each name only.
func (s *Service) listObservability(_ context.Context, in listObservabilityInput) (out listObservabilityOutput, err error) {
	var c checks
	c.optionalName("observabilityConfigurationName", in.ObservabilityConfigurationName, scalingName, 32)
	c.page(in.pageInput, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	every := in.LatestOnly != nil && !*in.LatestOnly
	var all []observabilitySummary
	s.doc.View(func(st *state) {
		for _, o := range st.Observabilities {
			wanted := in.ObservabilityConfigurationName == nil || *in.ObservabilityConfigurationName == o.Name
			newest, _ := latest(st.Observabilities, o.Name)
			if wanted && o.active() && (every || newest == o) {
				all = append(all, o.summary())
			}
		}
	})
	key := func(o observabilitySummary) string { return o.ObservabilityConfigurationArn }
	list := fmt.Sprint("observabilities ", value(in.ObservabilityConfigurationName), strconv.FormatBool(every))
	out.ObservabilityConfigurationSummaryList, out.NextToken, err = paged(list, all, key, in.pageInput)
	return out, err
}

// observe resolves the observability configuration that a service asks for to a full
// ARN. Enabled without one is the account's default.
// https://github.com/hashicorp/terraform-provider-aws/issues/27733
func (s *Service) observe(st *state, c *config) error {
	o := *c.ObservabilityConfiguration
	if o.ObservabilityConfigurationArn == nil && !o.ObservabilityEnabled {
		return nil
	}
	arn := s.arn("observabilityconfiguration/%s", outOfTheBox)
	if o.ObservabilityConfigurationArn != nil {
		arn = *o.ObservabilityConfigurationArn
	}
	found, ok := lookUp(st.Observabilities, observabilityARN, arn)
	if !ok || !found.active() {
		return invalidObservability(arn)
	}
	o.ObservabilityConfigurationArn = &found.ARN
	c.ObservabilityConfiguration = &o
	return nil
}
