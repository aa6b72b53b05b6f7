package ecr

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Observe implements [reconcile.Provider]: the wanted repositories, images and tags.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	tags := map[string][]string{} // repository → tags to look up
	for _, a := range q.Want {
		switch a.Type() {
		case target + "/" + kindRepository:
			tags[a.Name] = append(tags[a.Name], nil...)
		case target + "/" + kindImage, target + "/" + kindTag:
			repository, tag := split(a.Name)
			tags[repository] = append(tags[repository], tag)
		}
	}
	live := state.Live{}
	var mu sync.Mutex
	keep := func(o state.Observed) {
		mu.Lock()
		defer mu.Unlock()
		live[o.Address] = o
	}
	reads, ctx := reconcile.NewReads(ctx)
	for repository, wanted := range tags {
		reads.Go(func() error {
			return awsapi.Unread(Repository(repository), p.observeRepository(ctx, repository, q.Users, keep))
		})
		if len(wanted) > 0 {
			reads.Go(func() error {
				return awsapi.Unread(Repository(repository), p.observeTags(ctx, repository, wanted, q.Want, q.Users, keep))
			})
		}
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	return live, nil, nil
}

func (p *Provider) observeRepository(ctx context.Context, name string, users bool, keep func(state.Observed)) error {
	var (
		repo   *types.Repository
		policy string
		tags   []types.Tag
		others []string
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out, err := p.api.DescribeRepositories(ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{name}})
		if err == nil && len(out.Repositories) > 0 {
			repo = &out.Repositories[0]
		}
		return p.absent(name, "describe", err)
	})
	g.Go(func() error {
		out, err := p.api.GetLifecyclePolicy(ctx, &sdk.GetLifecyclePolicyInput{RepositoryName: &name})
		if err == nil {
			policy = parse(aws.ToString(out.LifecyclePolicyText))
		}
		return p.absent(name, "get lifecycle policy", err)
	})
	g.Go(func() error {
		out, err := p.api.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: aws.String(p.arn(name))})
		if err == nil {
			tags = out.Tags
		}
		return p.absent(name, "list tags", err)
	})
	if users {
		g.Go(func() (err error) {
			others, err = p.users(ctx, name)
			return p.absent(name, "list images", err)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if repo != nil {
		keep(observed(*repo, policy, tags, others))
	}
	return nil
}

// absent turns "there is none" into no error.
func (p *Provider) absent(name, doing string, err error) error {
	if err == nil || awsapi.Is(err, "RepositoryNotFoundException", "LifecyclePolicyNotFoundException") {
		return nil
	}
	return fmt.Errorf("repository %q: %s: %w", name, doing, awsapi.Explain(err))
}

// users lists the services that the repository is known to be in use for: those whose live-
// tag it holds, and those with a release in it. Of these, the live- tag comes only once a
// rollout was verified, and a service that is up without it needs its image as well.
func (p *Provider) users(ctx context.Context, name string) ([]string, error) {
	live := map[string]bool{}
	newest := map[string]int{} // release, by service
	pages := sdk.NewListImagesPaginator(p.api, &sdk.ListImagesInput{RepositoryName: &name,
		Filter: &types.ListImagesFilter{TagStatus: types.TagStatusTagged}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range page.ImageIds {
			// A name with a dot is no service's: it is the tag of the newest release record.
			if service, ok := strings.CutPrefix(aws.ToString(id.ImageTag), livePrefix); ok && !strings.Contains(service, ".") {
				live[service] = true
			}
			if service, number, ok := release.ParseTag(aws.ToString(id.ImageTag)); ok {
				newest[service] = max(newest[service], number)
			}
		}
	}
	maps.DeleteFunc(newest, func(service string, _ int) bool { return live[service] })
	var tags []string
	for service, number := range newest {
		live[service] = true
		tags = append(tags, release.Tag(service, number))
	}
	records, err := p.images(ctx, name, tags)
	if err != nil {
		return nil, err
	}
	for tag, record := range records {
		if service, _, ok := release.ParseTag(tag); ok && destroyed(aws.ToString(record.ImageManifest)) {
			delete(live, service)
		}
	}
	return slices.Sorted(maps.Keys(live)), nil
}

// destroyed reports whether a manifest is the record of a service's end, which its first
// layer holds. What cannot be read is none.
func destroyed(manifest string) bool {
	var m struct {
		Layers []struct {
			Data []byte `json:"data"`
		} `json:"layers"`
	}
	if err := json.Unmarshal([]byte(manifest), &m); err != nil || len(m.Layers) == 0 {
		return false
	}
	r, err := release.Decode(m.Layers[0].Data)
	return err == nil && r.Kind == release.Destroy && r.Result == release.Succeeded
}

// mediaTypes are all that a tag may stand for. A type that is not accepted would be
// converted, and its digest would be another.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
var mediaTypes = []string{
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
}

// batchSize is how many images one BatchGetImage or DescribeImages takes.
const batchSize = 100

// images looks tags up. A tag that does not exist is missing from the result.
func (p *Provider) images(ctx context.Context, repository string, tags []string) (map[string]types.Image, error) {
	found := map[string]types.Image{}
	for batch := range slices.Chunk(tags, batchSize) {
		in := &sdk.BatchGetImageInput{RepositoryName: &repository, AcceptedMediaTypes: mediaTypes}
		for _, t := range batch {
			in.ImageIds = append(in.ImageIds, types.ImageIdentifier{ImageTag: aws.String(t)})
		}
		out, err := p.api.BatchGetImage(ctx, in)
		if err := p.absent(repository, "look up tags", err); err != nil || out == nil {
			return found, err
		}
		for _, image := range out.Images {
			found[aws.ToString(image.ImageId.ImageTag)] = image
		}
		for _, f := range out.Failures {
			if f.FailureCode != types.ImageFailureCodeImageNotFound {
				return nil, fmt.Errorf("repository %q: tag %s: %s", repository, aws.ToString(f.ImageId.ImageTag), aws.ToString(f.FailureReason))
			}
		}
	}
	return found, nil
}

// observeTags reports which of the tags exist and which built image each stands for.
func (p *Provider) observeTags(ctx context.Context, repository string, tags []string, want []state.Address, users bool, keep func(state.Observed)) error {
	slices.Sort(tags)
	found, err := p.images(ctx, repository, slices.Compact(tags))
	if err != nil || len(found) == 0 {
		return err
	}
	built, err := p.built(ctx, repository, found)
	if err != nil {
		return err
	}
	for tag, image := range found {
		digest := aws.ToString(image.ImageId.ImageDigest)
		if a := Image(repository, tag); slices.Contains(want, a) {
			keep(state.Observed{Resource: state.Resource{Address: a}, ID: digest, Owner: state.Derived, Phase: state.Ready})
		}
		if a := Tag(repository, tag); slices.Contains(want, a) {
			field := state.Field{Path: "image", Value: digest}
			if src, ok := built[digest]; ok {
				field.Value, field.Ref = Image(repository, src).String(), true
			}
			owner := state.Derived
			if strings.HasPrefix(tag, livePrefix) && users {
				owner = state.Ours // goes with its service, or the image would be kept for ever
			}
			keep(state.Observed{Resource: state.Resource{Address: a, Fields: []state.Field{field}}, ID: digest, Owner: owner, Phase: state.Ready})
		}
	}
	return nil
}

// built maps digests to the src- tag that names the same image.
func (p *Provider) built(ctx context.Context, repository string, found map[string]types.Image) (map[string]string, error) {
	var digests []types.ImageIdentifier
	seen := map[string]bool{}
	for _, image := range found {
		if d := aws.ToString(image.ImageId.ImageDigest); !seen[d] {
			seen[d] = true
			digests = append(digests, types.ImageIdentifier{ImageDigest: aws.String(d)})
		}
	}
	built := map[string]string{}
	for batch := range slices.Chunk(digests, batchSize) {
		out, err := p.api.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: &repository, ImageIds: batch})
		if err != nil {
			return nil, fmt.Errorf("repository %q: describe images: %w", repository, awsapi.Explain(err))
		}
		for _, d := range out.ImageDetails {
			slices.Sort(d.ImageTags)
			for _, t := range d.ImageTags {
				// A wanted tag wins: two sources can give the same digest.
				_, wanted := found[t]
				if _, known := built[aws.ToString(d.ImageDigest)]; strings.HasPrefix(t, "src-") && (wanted || !known) {
					built[aws.ToString(d.ImageDigest)] = t
				}
			}
		}
	}
	return built, nil
}

// HasPolicy reports whether a repository has a policy of its own, which may let others pull
// from it.
func (p *Provider) HasPolicy(ctx context.Context, repository string) (bool, error) {
	_, err := p.api.GetRepositoryPolicy(ctx, &sdk.GetRepositoryPolicyInput{RepositoryName: &repository})
	if awsapi.Is(err, "RepositoryPolicyNotFoundException", "RepositoryNotFoundException") {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("repository %q: get its policy: %w", repository, awsapi.Explain(err))
	}
	return true, nil
}
