package apprunner

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Quotas of scaling configurations; the second is not adjustable.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const (
	maxScalingNames     = 10
	maxScalingRevisions = 5
)

// outOfTheBox is the configuration that every account has.
const outOfTheBox = "DefaultConfiguration"

// scaling is one revision as stored. Whether it is in use or the latest is derived.
type scaling struct {
	revised
	Concurrency int
	Min, Max    int
	Default     bool
}

// seed makes the configuration that every account has, once.
func (s *Service) seed(st *state) {
	if len(st.Scalings) > 0 {
		return
	}
	st.Scalings = []*scaling{{
		revised: revised{
			ARN:  s.arn("autoscalingconfiguration/%s/1/%032d", outOfTheBox, 1),
			Name: outOfTheBox, Revision: 1, CreatedAt: s.now(), Tags: map[string]string{},
		},
		Concurrency: 100, Min: 1, Max: 25, Default: true,
	}}
	st.Revisions = map[string]int{outOfTheBox: 1}
}

var scalingARN = partialARN("autoscalingconfiguration")

// scaling returns the revision that an ARN in any form means, deleted or not; nil if
// there is none.
func (st *state) scaling(arn string) *scaling {
	found, _ := lookUp(st.Scalings, scalingARN, arn)
	return found
}

// users are the services that are bound to a revision.
func (st *state) users(arn string) []string {
	all := st.usersOf(func(c config) bool { return *c.AutoScalingConfigurationArn == arn })
	return slices.Sorted(slices.Values(all))
}

func (st *state) summary(arn string) scalingSummary {
	c := st.scaling(arn)
	return scalingSummary{
		AutoScalingConfigurationArn: c.ARN, AutoScalingConfigurationName: c.Name,
		AutoScalingConfigurationRevision: c.Revision, CreatedAt: c.CreatedAt,
		HasAssociatedService: len(st.users(c.ARN)) > 0, IsDefault: c.Default, Status: c.status(),
	}
}

func (st *state) describeScaling(c *scaling) *scalingShape {
	newest, _ := latest(st.Scalings, c.Name)
	return &scalingShape{
		scalingSummary: st.summary(c.ARN), Latest: newest == c,
		MaxConcurrency: c.Concurrency, MinSize: c.Min, MaxSize: c.Max, DeletedAt: c.DeletedAt,
	}
}

// bind resolves the ARN that a service asks for to a full one; nil is the default.
func (s *Service) bind(st *state, arn *string) (*string, error) {
	if arn == nil {
		i := slices.IndexFunc(st.Scalings, func(c *scaling) bool { return c.Default })
		return &st.Scalings[i].ARN, nil
	}
	if c := st.scaling(*arn); c != nil && c.active() {
		return &c.ARN, nil
	}
	return nil, wire.Errorf(invalidRequest, "The auto scaling configuration ARN you specified isn't valid. ARN: '%s'", *arn)
}

type scalingInput struct {
	AutoScalingConfigurationName     *string
	MaxConcurrency, MinSize, MaxSize *int
	Tags                             []tagShape
}

type scalingOutput struct{ AutoScalingConfiguration any }

func (s *Service) createScaling(_ context.Context, in scalingInput) (out scalingOutput, err error) {
	var c checks
	c.name("autoScalingConfigurationName", in.AutoScalingConfigurationName, scalingName, 32)
	c.Range("maxConcurrency", in.MaxConcurrency, 1, 200)
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return out, err
	}
	made := &scaling{
		revised:     revised{Name: *in.AutoScalingConfigurationName, CreatedAt: s.now(), Tags: map[string]string{}},
		Concurrency: *either(in.MaxConcurrency, new(100)),
		Min:         *either(in.MinSize, new(1)), Max: *either(in.MaxSize, new(25)),
	}
	put(made.Tags, in.Tags)
	switch {
	case made.Min < 1:
		return out, wire.Errorf(invalidRequest, "minSize must be at least 1")
	case made.Max < 1:
		return out, wire.Errorf(invalidRequest, "maxSize must be at least 1")
	case made.Min > 25:
		return out, wire.Errorf(invalidRequest, "minSize must be at most 25")
	case made.Min > made.Max:
		return out, wire.Errorf(invalidRequest, "minSize must be less than or equal to maxSize")
	}
	err = s.doc.Update(func(st *state) error {
		s.purge(st)
		if err := st.scalingQuota(made.Name); err != nil {
			return err
		}
		st.Revisions[made.Name]++
		made.Revision = st.Revisions[made.Name]
		made.ARN = s.arn("autoscalingconfiguration/%s/%d/%s", made.Name, made.Revision, hex32())
		st.Scalings = append(st.Scalings, made)
		out.AutoScalingConfiguration = st.describeScaling(made)
		return nil
	})
	return out, err
}

// scalingQuota refuses one configuration too many. What is deleted does not count, and
// neither does the name that every account has.
func (st *state) scalingQuota(name string) error {
	revisions, others := named(st.Scalings, name, outOfTheBox)
	if revisions >= maxScalingRevisions {
		return wire.Errorf(quotaExceeded, "The maximum number of revisions (%d) for the auto scaling configuration %s has been reached.", maxScalingRevisions, name)
	}
	if revisions == 0 && name != outOfTheBox && others >= maxScalingNames {
		return quota(maxScalingNames, "auto scaling configurations")
	}
	return nil
}

type scalingARNInput struct{ AutoScalingConfigurationArn *string }

func (in scalingARNInput) check() error {
	var c checks
	c.Present("autoScalingConfigurationArn", in.AutoScalingConfigurationArn != nil)
	return c.err()
}

// findScaling returns the revision, which may be deleted but not yet forgotten.
func (s *Service) findScaling(st *state, arn string) (*scaling, error) {
	if !scalingARN().MatchString(arn) {
		return nil, wire.Errorf(invalidRequest, "The auto scaling configuration ARN you specified isn't valid. ARN: '%s'", arn)
	}
	c := st.scaling(arn)
	if c == nil || s.forgotten(!c.active(), c.DeletedAt) {
		return nil, wire.Errorf(notFound, "The auto scaling configuration you specified doesn't exist. ARN: '%s'", arn)
	}
	return c, nil
}

func (s *Service) describeScaling(_ context.Context, in scalingARNInput) (out scalingOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	s.doc.View(func(st *state) {
		var c *scaling
		if c, err = s.findScaling(st, *in.AutoScalingConfigurationArn); err == nil {
			out.AutoScalingConfiguration = st.describeScaling(c)
		}
	})
	return out, err
}

// updateDefaultScaling changes what services created from now on get.
func (s *Service) updateDefaultScaling(_ context.Context, in scalingARNInput) (out scalingOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	err = s.doc.Update(func(st *state) error {
		chosen, err := s.findScaling(st, *in.AutoScalingConfigurationArn)
		if err != nil {
			return err
		}
		if !chosen.active() {
			return gone(chosen)
		}
		for _, c := range st.Scalings {
			c.Default = c == chosen
		}
		out.AutoScalingConfiguration = st.describeScaling(chosen)
		return nil
	})
	return out, err
}

func gone(c *scaling) error {
	return wire.Errorf(invalidRequest, "The auto scaling configuration you specified has been deleted. ARN: '%s'", c.ARN)
}

type deleteScalingInput struct {
	scalingARNInput
	DeleteAllRevisions bool
}

func (s *Service) deleteScaling(_ context.Context, in deleteScalingInput) (out scalingOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	arn := *in.AutoScalingConfigurationArn
	err = s.doc.Update(func(st *state) error {
		one, err := s.findScaling(st, arn)
		if err != nil {
			return err
		}
		doomed := []*scaling{one}
		if in.DeleteAllRevisions {
			if parts := scalingARN().FindStringSubmatch(arn); parts[2] != "" {
				return wire.Errorf(invalidRequest, "To delete all revisions, specify an auto scaling configuration ARN that ends with the name. ARN: '%s'", arn)
			}
			doomed = slices.DeleteFunc(slices.Clone(st.Scalings), func(c *scaling) bool { return c.Name != one.Name || !c.active() })
		}
		for _, c := range doomed {
			if err := st.deletable(c); err != nil {
				return err
			}
		}
		for _, c := range doomed {
			c.DeletedAt = s.now()
		}
		out.AutoScalingConfiguration = st.describeScaling(one)
		if in.DeleteAllRevisions {
			out.AutoScalingConfiguration = map[string]string{
				"AutoScalingConfigurationArn": arn, "AutoScalingConfigurationName": one.Name, "Status": "inactive",
			}
		}
		return nil
	})
	return out, err
}

// deletable refuses a revision that is gone, the default, or in use.
func (st *state) deletable(c *scaling) error {
	switch {
	case !c.active():
		return gone(c)
	case c.Default:
		return wire.Errorf(invalidRequest, "You can't delete the default auto scaling configuration. To delete it, make another auto scaling configuration the default. ARN: '%s'", c.ARN)
	case c.Name == outOfTheBox && c.Revision == 1:
		return wire.Errorf(invalidRequest, "You can't delete a reserved auto scaling configuration: '%s'.", c.Name)
	case len(st.users(c.ARN)) > 0:
		return wire.Errorf(invalidRequest, "You can't delete the auto scaling configuration. It's used by one or more services. To delete it, update the services to use other auto scaling configurations.")
	}
	return nil
}

type listScalingInput struct {
	AutoScalingConfigurationName *string
	LatestOnly                   *bool
	pageInput
}

type listScalingOutput struct {
	AutoScalingConfigurationSummaryList []scalingSummary
	NextToken                           string `json:",omitempty"`
}

// listScaling lists active revisions, by default the latest of each name only.
func (s *Service) listScaling(_ context.Context, in listScalingInput) (out listScalingOutput, err error) {
	var c checks
	c.optionalName("autoScalingConfigurationName", in.AutoScalingConfigurationName, scalingName, 32)
	c.page(in.pageInput, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	every := in.LatestOnly != nil && !*in.LatestOnly
	var all []scalingSummary
	s.doc.View(func(st *state) {
		for _, c := range st.Scalings {
			wanted := in.AutoScalingConfigurationName == nil || *in.AutoScalingConfigurationName == c.Name
			newest, _ := latest(st.Scalings, c.Name)
			if wanted && c.active() && (every || newest == c) {
				all = append(all, st.summary(c.ARN))
			}
		}
	})
	key := func(c scalingSummary) string { return c.AutoScalingConfigurationArn }
	list := fmt.Sprint("scalings ", value(in.AutoScalingConfigurationName), strconv.FormatBool(every))
	out.AutoScalingConfigurationSummaryList, out.NextToken, err = paged(list, all, key, in.pageInput)
	return out, err
}

type scalingUsersInput struct {
	scalingARNInput
	pageInput
}

type scalingUsersOutput struct {
	ServiceArnList []string
	NextToken      string `json:",omitempty"`
}

func (s *Service) listServicesForScaling(_ context.Context, in scalingUsersInput) (out scalingUsersOutput, err error) {
	var c checks
	c.Present("autoScalingConfigurationArn", in.AutoScalingConfigurationArn != nil)
	c.page(in.pageInput, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []string
	var arn string
	s.doc.View(func(st *state) {
		var c *scaling
		if c, err = s.findScaling(st, *in.AutoScalingConfigurationArn); err == nil {
			arn, all = c.ARN, st.users(c.ARN)
		}
	})
	if err != nil {
		return out, err
	}
	out.ServiceArnList, out.NextToken, err = paged("users "+arn, all, func(arn string) string { return arn }, in.pageInput)
	return out, err
}
