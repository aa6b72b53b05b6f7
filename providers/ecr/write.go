package ecr

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Execute implements [apply.Executor].
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	switch {
	case a.Target.Kind == kindTag && a.Op == plan.Delete:
		return p.untag(ctx, a.Target.Name)
	case a.Target.Kind == kindTag:
		return p.putTag(ctx, a, env)
	case a.Target.Kind == kindRepository && a.Op == plan.Create:
		return p.create(ctx, a)
	case a.Target.Kind == kindRepository && a.Op == plan.Update:
		return p.update(ctx, a.Target.Name, a.Want, a.Have.Resource, a.Changes)
	case a.Target.Kind == kindRepository && a.Op == plan.Delete:
		return p.delete(ctx, a.Target.Name)
	}
	return state.Outcome{}, fmt.Errorf("%s: ECR cannot %s a %s", a.Target, a.Op, a.Target.Kind)
}

func (p *Provider) create(ctx context.Context, a plan.Action) (state.Outcome, error) {
	name := a.Target.Name
	in := &sdk.CreateRepositoryInput{RepositoryName: &name, Tags: tagsOf(a.Want)}
	if f, ok := a.Want.Get("tag_mutability"); ok {
		in.ImageTagMutability = types.ImageTagMutability(f.Value)
		in.ImageTagMutabilityExclusionFilters = exclusions(a.Want, state.Resource{})
	}
	if f, ok := a.Want.Get("scan_on_push"); ok {
		in.ImageScanningConfiguration = &types.ImageScanningConfiguration{ScanOnPush: f.Value == "true"}
	}
	_, err := p.api.CreateRepository(ctx, in)
	if awsapi.Is(err, "RepositoryAlreadyExistsException") {
		// Made since the plan, by another run or by a call whose answer was lost: it is
		// only taken over when it carries apron's tag.
		return p.converge(ctx, a)
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("repository %q: create: %w", name, awsapi.Explain(err))
	}
	if f, ok := a.Want.Get("lifecycle"); ok {
		if err := p.putPolicy(ctx, name, f); err != nil {
			return state.Outcome{}, err
		}
	}
	return state.Outcome{ID: p.arn(name)}, nil
}

// converge brings a repository that appeared since the plan to what is wanted.
func (p *Provider) converge(ctx context.Context, a plan.Action) (state.Outcome, error) {
	var have *state.Observed
	if err := p.observeRepository(ctx, a.Target.Name, false, func(o state.Observed) { have = &o }); err != nil {
		return state.Outcome{}, err
	}
	if have == nil || have.Owner == state.Theirs {
		return state.Outcome{}, fmt.Errorf("repository %q: somebody else made it since the plan; plan again", a.Target.Name)
	}
	return p.update(ctx, a.Target.Name, a.Want, have.Resource, a.Changes)
}

func (p *Provider) update(ctx context.Context, name string, want, have state.Resource, changes []plan.Change) (state.Outcome, error) {
	var mutability, scan, lifecycle bool
	var tags []types.Tag
	for _, c := range changes {
		switch {
		case strings.HasPrefix(c.Path, "tag_mutability"):
			mutability = true
		case c.Path == "scan_on_push":
			scan = true
		case c.Path == "lifecycle":
			lifecycle = true
		case strings.HasPrefix(c.Path, "tags.") && c.New != nil:
			tags = append(tags, types.Tag{Key: aws.String(strings.TrimPrefix(c.Path, "tags.")), Value: aws.String(c.New.Value)})
		}
	}
	fail := func(doing string, err error) (state.Outcome, error) {
		return state.Outcome{}, fmt.Errorf("repository %q: %s: %w", name, doing, awsapi.Explain(err))
	}
	if mutability {
		if _, err := p.api.PutImageTagMutability(ctx, &sdk.PutImageTagMutabilityInput{RepositoryName: &name,
			ImageTagMutability:                 types.ImageTagMutability(want.Value("tag_mutability")),
			ImageTagMutabilityExclusionFilters: exclusions(want, have)}); err != nil {
			return fail("set tag mutability", err)
		}
	}
	if scan {
		if _, err := p.api.PutImageScanningConfiguration(ctx, &sdk.PutImageScanningConfigurationInput{RepositoryName: &name,
			ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: want.Value("scan_on_push") == "true"}}); err != nil {
			return fail("set scanning", err)
		}
	}
	if lifecycle {
		f, _ := want.Get("lifecycle")
		if err := p.putPolicy(ctx, name, f); err != nil {
			return state.Outcome{}, err
		}
	}
	if len(tags) > 0 {
		if _, err := p.api.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String(p.arn(name)), Tags: tags}); err != nil {
			return fail("tag", err)
		}
	}
	return state.Outcome{ID: p.arn(name)}, nil
}

func (p *Provider) putPolicy(ctx context.Context, name string, f state.Field) error {
	rules, err := parseCanonical(f.Value)
	if err != nil {
		return fmt.Errorf("repository %q: %w", name, err)
	}
	if _, err := p.api.PutLifecyclePolicy(ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: &name,
		LifecyclePolicyText: aws.String(rules.text())}); err != nil {
		return fmt.Errorf("repository %q: set lifecycle policy: %w", name, awsapi.Explain(err))
	}
	return nil
}

func (p *Provider) delete(ctx context.Context, name string) (state.Outcome, error) {
	_, err := p.api.DeleteRepository(ctx, &sdk.DeleteRepositoryInput{RepositoryName: &name, Force: true})
	if err := p.absent(name, "delete", err); err != nil {
		return state.Outcome{}, err
	}
	return state.Outcome{}, nil
}

// untag takes a tag off an image that has others: it always has its src- tag.
func (p *Provider) untag(ctx context.Context, name string) (state.Outcome, error) {
	repository, tag := split(name)
	out, err := p.api.BatchDeleteImage(ctx, &sdk.BatchDeleteImageInput{RepositoryName: &repository,
		ImageIds: []types.ImageIdentifier{{ImageTag: &tag}}})
	if err := p.absent(repository, "untag", err); err != nil || out == nil {
		return state.Outcome{}, err
	}
	for _, f := range out.Failures {
		if f.FailureCode != types.ImageFailureCodeImageNotFound {
			return state.Outcome{}, fmt.Errorf("repository %q: untag %s: %s", repository, tag, aws.ToString(f.FailureReason))
		}
	}
	return state.Outcome{}, nil
}

// putTag gives an image that is in the repository one more tag, by putting the very
// bytes of its manifest again, and looks that the tag stands for it afterwards.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-retag.html
func (p *Provider) putTag(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	repository, tag := split(a.Target.Name)
	if service, ok := strings.CutPrefix(tag, livePrefix); ok && p.Verify != nil {
		if err := p.Verify(ctx, service, env); err != nil {
			return state.Outcome{}, err
		}
	}
	stands, _ := a.Want.Get("image")
	source, err := state.ParseAddress(stands.Value)
	if err != nil {
		return state.Outcome{}, err
	}
	_, built := split(source.Name)
	found, err := p.images(ctx, repository, []string{built, tag})
	if err != nil {
		return state.Outcome{}, err
	}
	image, ok := found[built]
	if !ok {
		return state.Outcome{}, fmt.Errorf("repository %q: image %s is gone; apply again to build it", repository, built)
	}
	digest := aws.ToString(image.ImageId.ImageDigest)
	if have, ok := found[tag]; ok && stands.Once && digestOf(have) != digest {
		return state.Outcome{}, &TakenError{Version: tag, Digest: digestOf(have), Fix: stands.Fix}
	}
	_, putErr := p.api.PutImage(ctx, &sdk.PutImageInput{RepositoryName: &repository, ImageTag: &tag, ImageManifest: image.ImageManifest,
		ImageManifestMediaType: image.ImageManifestMediaType, ImageDigest: &digest})
	// The same tag on the same image is what was asked for. A frozen tag is refused by
	// another name, which leaves open what it stands for.
	frozen := awsapi.Is(putErr, "ImageTagAlreadyExistsException")
	if putErr != nil && !frozen && !awsapi.Is(putErr, "ImageAlreadyExistsException") {
		return state.Outcome{}, fmt.Errorf("repository %q: put tag %s: %w", repository, tag, awsapi.Explain(putErr))
	}
	after, err := p.images(ctx, repository, []string{tag})
	if err != nil {
		return state.Outcome{}, err
	}
	switch got := digestOf(after[tag]); {
	case got != digest && frozen && stands.Once: // by somebody else, since it was looked up
		return state.Outcome{}, &TakenError{Version: tag, Digest: got, Fix: stands.Fix}
	case got != digest && frozen:
		return state.Outcome{}, fmt.Errorf("repository %q: tag %s stands for %s already and is never moved: %w", repository, tag, got, putErr)
	case got != digest:
		return state.Outcome{}, fmt.Errorf("repository %q: tag %s stands for %s after it was put on %s", repository, tag, got, digest)
	}
	return state.Outcome{ID: digest}, nil
}

func digestOf(image types.Image) string {
	if image.ImageId == nil {
		return "nothing"
	}
	return aws.ToString(image.ImageId.ImageDigest)
}
