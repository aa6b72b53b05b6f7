package apprunner

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// maxServices is the quota per account and Region, unless it is raised.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const maxServices = 30

type createInput struct {
	ServiceName             *string
	Tags                    []tagShape
	EncryptionConfiguration *encryptionShape
	config
}

type updateInput struct {
	ServiceArn *string
	config
}

type arnInput struct{ ServiceArn *string }

// started answers a call that began an operation, or found nothing to do.
type started struct {
	Service     *serviceShape `json:",omitempty"`
	OperationId string        `json:",omitempty"`
}

func (s *Service) createService(_ context.Context, in createInput) (started, error) {
	var c checks
	c.name("serviceName", in.ServiceName, serviceName, 40)
	c.Present("sourceConfiguration", in.SourceConfiguration != nil)
	if e := in.EncryptionConfiguration; e != nil {
		c.Present("encryptionConfiguration.kmsKey", e.KmsKey != nil)
		c.LengthOf("encryptionConfiguration.kmsKey", e.KmsKey, 0, 256)
		c.match("encryptionConfiguration.kmsKey", e.KmsKey, kmsKeyARN)
	}
	c.tags(in.Tags)
	c.config(in.config)
	if src := in.SourceConfiguration; src != nil && src.ImageRepository != nil {
		c.Present("sourceConfiguration.imageRepository.imageIdentifier", src.ImageRepository.ImageIdentifier != nil)
		c.Present("sourceConfiguration.imageRepository.imageRepositoryType", src.ImageRepository.ImageRepositoryType != nil)
	}
	if err := c.err(); err != nil {
		return started{}, err
	}
	if code, image := in.SourceConfiguration.CodeRepository, in.SourceConfiguration.ImageRepository; (code == nil) == (image == nil) {
		return started{}, wire.Errorf(invalidRequest, "Source configuration is invalid. Specify exactly one of CodeRepository and ImageRepository.")
	} else if code != nil {
		return started{}, s.refuseCode(in.SourceConfiguration)
	}
	config := defaults().with(in.config)
	admit := func(st *state) (err error) {
		if err = s.admit(st, *in.ServiceName); err == nil {
			config.AutoScalingConfigurationArn, err = s.bind(st, in.AutoScalingConfigurationArn)
		}
		if err == nil {
			err = s.refer(st, &config)
		}
		return err
	}
	var refused error
	s.doc.View(func(st *state) { refused = admit(st) })
	if refused != nil {
		return started{}, refused
	}
	s.delayRoles(*in.ServiceName, in.Tags)
	if err := s.assume(config); err != nil {
		return started{}, err
	}
	if err := s.consider(&config); err != nil {
		return started{}, err
	}
	var out started
	err := s.start(&out, func(st *state) (*record, string, error) {
		if err := admit(st); err != nil {
			return nil, "", err
		}
		s.purge(st)
		r := &record{
			Name: *in.ServiceName, ID: hex32(), CreatedAt: s.now(),
			Config: config, Encryption: in.EncryptionConfiguration, Tags: map[string]string{},
		}
		r.ARN = s.arn("service/%s/%s", r.Name, r.ID)
		put(r.Tags, in.Tags)
		st.Services = append(st.Services, r)
		return r, opCreate, nil
	})
	return out, err
}

// refer resolves what else a configuration refers to by its ARN.
func (s *Service) refer(st *state, c *config) error {
	if err := s.attach(st, *c); err != nil {
		return err
	}
	return s.observe(st, c)
}

// admit refuses a name that is taken, and a service too many. Failed and paused
// services count.
func (s *Service) admit(st *state, name string) error {
	n := 0
	for _, r := range st.Services {
		if r.Status == deleted {
			continue
		}
		if n++; r.Name == name {
			return wire.Errorf(invalidRequest, "Service with the provided name already exists: %s.", name)
		}
	}
	if most := s.Quotas()[quotaServices]; n >= most {
		return quota(most, "services")
	}
	return nil
}

func (s *Service) updateService(_ context.Context, in updateInput) (started, error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	c.config(in.config)
	if err := c.err(); err != nil {
		return started{}, err
	}
	if in.config == (config{}) {
		// https://github.com/hashicorp/terraform-provider-aws/issues/32839
		return started{}, wire.Errorf(invalidRequest, "No configurations provided in the UpdateService request.")
	}
	if src := in.SourceConfiguration; src != nil && src.CodeRepository != nil {
		return started{}, wire.Errorf(invalidRequest, "You can't change the source of a service from an image repository to a code repository.")
	}
	// What the update makes of the service is judged twice: roles are asked without
	// the lock, and then the state must still be what it was.
	var config config
	judge := func(st *state) (*record, error) {
		r, err := s.find(st, *in.ServiceArn)
		if err != nil {
			return nil, err
		}
		if err := s.allow(r, "updated", running, createFailed); err != nil {
			return nil, err
		}
		config = r.Config.with(in.config)
		if arn := in.AutoScalingConfigurationArn; arn != nil {
			if config.AutoScalingConfigurationArn, err = s.bind(st, arn); err != nil {
				return nil, err
			}
		}
		return r, s.refer(st, &config)
	}
	var refused error
	s.doc.View(func(st *state) { _, refused = judge(st) })
	if refused != nil {
		return started{}, refused
	}
	if err := s.assume(config); err != nil {
		return started{}, err
	}
	var out started
	err := s.start(&out, func(st *state) (*record, string, error) {
		r, err := judge(st)
		if err == nil {
			err = s.consider(&config)
		}
		if err != nil {
			return nil, "", err
		}
		r.Config = config
		return r, opUpdate, nil
	})
	return out, err
}

func (s *Service) describeService(_ context.Context, in arnInput) (out started, err error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	if err := c.err(); err != nil {
		return out, err
	}
	s.doc.View(func(st *state) {
		var r *record
		if r, err = s.find(st, *in.ServiceArn); err == nil {
			out.Service = new(s.describe(st, r))
		}
	})
	return out, err
}

func (s *Service) deleteService(_ context.Context, in arnInput) (started, error) {
	return s.simple(in, opDelete, func(st *state, r *record) error {
		if err := s.allow(r, "deleted", running, paused, createFailed, deleteFailed); err != nil {
			return err
		}
		return st.unlinked(r)
	})
}

// pauseService answers without an operation if the service is paused already.
func (s *Service) pauseService(_ context.Context, in arnInput) (started, error) {
	return s.simple(in, opPause, func(_ *state, r *record) error {
		if r.Status == paused {
			return errNoOperation
		}
		return s.allow(r, "paused", running)
	})
}

func (s *Service) resumeService(_ context.Context, in arnInput) (started, error) {
	return s.simple(in, opResume, func(_ *state, r *record) error { return s.allow(r, "resumed", paused) })
}

// startDeployment answers a busy service with another code than the other calls do.
func (s *Service) startDeployment(_ context.Context, in arnInput) (started, error) {
	out, err := s.simple(in, opDeploy, func(_ *state, r *record) error {
		if s.status(r) != running && r.Status != deleted {
			return wire.Errorf(invalidRequest, "Can't start a deployment on the specified service, because it isn't in RUNNING state.")
		}
		return nil
	})
	out.Service = nil
	return out, err
}

// errNoOperation ends a call well without an operation.
var errNoOperation = errors.New("no operation is needed")

// start lets pick choose a service and an operation, records both and runs it.
func (s *Service) start(out *started, pick func(*state) (*record, string, error)) error {
	var id, name string
	var op operation
	err := s.doc.Update(func(st *state) error {
		r, kind, err := pick(st)
		if err == nil {
			id, name, op = r.ID, r.Name, s.begin(r, kind)
			out.OperationId = op.Id
		}
		if err == nil || errors.Is(err, errNoOperation) {
			out.Service = new(s.describe(st, r))
		}
		return err
	})
	if errors.Is(err, errNoOperation) {
		return nil
	}
	if err != nil {
		*out = started{}
		return err
	}
	a := s.app(id, name)
	a.logs.event("%s started.", words[op.Type])
	a.logs.event("Service status is set to %s.", inProgress)
	s.spawn(func() { a.operate(op) })
	return nil
}

// simple is a call that has nothing but an ARN and starts an operation, if judge lets it.
func (s *Service) simple(in arnInput, kind string, judge func(*state, *record) error) (out started, err error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	if err := c.err(); err != nil {
		return out, err
	}
	err = s.start(&out, func(st *state) (*record, string, error) {
		r, err := s.find(st, *in.ServiceArn)
		if err == nil {
			err = s.present(r)
		}
		if err == nil {
			err = judge(st, r)
		}
		return r, kind, err
	})
	return out, err
}

// present refuses what is done to a service that is deleted but still describable.
func (s *Service) present(r *record) error {
	if r.Status == deleted {
		return wire.Errorf(notFound, "Service with the provided ARN doesn't exist: %s.", r.ARN)
	}
	return nil
}

type pageInput struct {
	NextToken  *string
	MaxResults *int
}

// limit is how many items a page has: all, unless the caller said a number.
func (p pageInput) limit(all int) int {
	if p.MaxResults != nil {
		return *p.MaxResults
	}
	return max(all, 1)
}

// paged cuts a page; a token that is not of this list is an invalid request.
func paged[T any](list string, items []T, key func(T) string, in pageInput) ([]T, string, error) {
	page, next, err := wire.Page(list, items, key, value(in.NextToken), in.limit(len(items)))
	if err != nil {
		return nil, "", wire.Errorf(invalidRequest, "The NextToken you specified isn't valid.")
	}
	if page == nil {
		page = []T{}
	}
	return page, next, nil
}

type servicesOutput struct {
	ServiceSummaryList []serviceSummary
	NextToken          string `json:",omitempty"`
}

// listServices lists all but deleted services.
func (s *Service) listServices(_ context.Context, in pageInput) (out servicesOutput, err error) {
	var c checks
	c.anyPage(in, 20)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []serviceSummary
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			if r.Status != deleted {
				all = append(all, serviceSummary{
					ServiceName: r.Name, ServiceId: r.ID, ServiceArn: r.ARN, ServiceUrl: s.url(st, r),
					CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Status: s.status(r),
				})
			}
		}
	})
	slices.SortFunc(all, func(a, b serviceSummary) int { return strings.Compare(a.ServiceArn, b.ServiceArn) })
	out.ServiceSummaryList, out.NextToken, err = paged("services", all, func(r serviceSummary) string { return r.ServiceArn }, in)
	return out, err
}

type operationsInput struct {
	ServiceArn *string
	pageInput
}

type operationsOutput struct {
	OperationSummaryList []operation
	NextToken            string `json:",omitempty"`
}

// listOperations lists the newest first.
func (s *Service) listOperations(_ context.Context, in operationsInput) (out operationsOutput, err error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	c.anyPage(in.pageInput, 20)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []operation
	s.doc.View(func(st *state) {
		var r *record
		if r, err = s.find(st, *in.ServiceArn); err == nil {
			all = slices.Clone(r.Operations)
		}
	})
	if err != nil {
		return out, err
	}
	slices.Reverse(all)
	out.OperationSummaryList, out.NextToken, err = paged("operations "+*in.ServiceArn, all, func(o operation) string { return o.Id }, in.pageInput)
	return out, err
}
