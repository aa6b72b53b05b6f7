package ssm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
)

// reader is what reading parameters calls.
type reader interface {
	GetParametersByPath(context.Context, *sdk.GetParametersByPathInput, ...func(*sdk.Options)) (*sdk.GetParametersByPathOutput, error)
	GetParameters(context.Context, *sdk.GetParametersInput, ...func(*sdk.Options)) (*sdk.GetParametersOutput, error)
	ListTagsForResource(context.Context, *sdk.ListTagsForResourceInput, ...func(*sdk.Options)) (*sdk.ListTagsForResourceOutput, error)
}

// batch is how many parameters one call reads.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
const batch = 10

// undecryptable are the errors of a caller who may know of a parameter and not its
// value, or of a key that no longer decrypts.
func undecryptable(err error) bool {
	return awsapi.Is(err, "AccessDeniedException", "InvalidKeyId")
}

// readPath reads every parameter directly below a path, with its tags.
func readPath(ctx context.Context, api reader, path string) ([]parameter, error) {
	found, err := list(ctx, api, path, true)
	if undecryptable(err) {
		found, err = list(ctx, api, path, false)
	}
	if err != nil {
		return nil, fmt.Errorf("read parameters below %s: %w", path, awsapi.Explain(err))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range found {
		g.Go(func() (err error) {
			found[i].tags, err = readTags(ctx, api, found[i].name)
			return err
		})
	}
	return found, g.Wait()
}

func list(ctx context.Context, api reader, path string, decrypt bool) ([]parameter, error) {
	var found []parameter
	pages := sdk.NewGetParametersByPathPaginator(api, &sdk.GetParametersByPathInput{
		Path: aws.String(path), WithDecryption: aws.Bool(decrypt), MaxResults: aws.Int32(batch),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Parameters {
			found = append(found, fromParameter(p, decrypt))
		}
	}
	return found, nil
}

// readTags reads a parameter's tags. A parameter that is gone has none.
func readTags(ctx context.Context, api reader, name string) (map[string]string, error) {
	out, err := api.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{
		ResourceId: &name, ResourceType: types.ResourceTypeForTaggingParameter,
	})
	switch {
	case awsapi.Is(err, "InvalidResourceId"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read tags of parameter %q: %w", name, awsapi.Explain(err))
	}
	return fromTags(out.TagList), nil
}

// readOne reads one parameter with its tags, or returns nil if it does not exist.
func readOne(ctx context.Context, api reader, name string) (*parameter, error) {
	get := func(decrypt bool) ([]types.Parameter, error) {
		out, err := api.GetParameters(ctx, &sdk.GetParametersInput{Names: []string{name}, WithDecryption: aws.Bool(decrypt)})
		if err != nil {
			return nil, err
		}
		return out.Parameters, nil
	}
	decrypt := true
	got, err := get(decrypt)
	if undecryptable(err) {
		decrypt = false
		got, err = get(decrypt)
	}
	if err != nil {
		return nil, fmt.Errorf("read it: %w", err)
	}
	if len(got) == 0 {
		return nil, nil
	}
	p := fromParameter(got[0], decrypt)
	p.tags, err = readTags(ctx, api, name)
	return &p, err
}

// Reference is what is known of a parameter that a manifest only refers to.
type Reference struct {
	ARN          string // empty if it does not exist
	LastModified time.Time
	Version      string // of the value; empty if it is not known
	Exists       bool
	// Unchecked says that the parameter is in another Region or account, so that only
	// App Runner will find out whether it exists. Exists is then set.
	Unchecked bool
}

// Resolve looks up parameters by name or ARN, and never reads a value. The result has an
// entry for every name. Its error tells which could not be looked up, as [reconcile.Unread]
// takes it apart.
func (p *Provider) Resolve(ctx context.Context, names []string) (map[string]Reference, error) {
	refs := map[string]Reference{}
	ask := map[string][]string{} // what to ask for, and the names that mean it
	for _, name := range names {
		local, here := p.local(name)
		if !here {
			refs[name] = Reference{ARN: name, Exists: true, Unchecked: true}
			continue
		}
		refs[name] = Reference{}
		if !slices.Contains(ask[local], name) {
			ask[local] = append(ask[local], name)
		}
	}
	all := make([]string, 0, len(ask))
	for local := range ask {
		all = append(all, local)
	}
	slices.Sort(all)
	batches := slices.Collect(slices.Chunk(all, batch))
	found := make([][]types.Parameter, len(batches))
	reads, ctx := reconcile.NewReads(ctx)
	reads.SetLimit(parallel)
	for i, b := range batches {
		reads.Go(func() (err error) {
			found[i], err = p.lookUp(ctx, b, ask)
			return err
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	for _, got := range slices.Concat(found...) {
		ref := Reference{ARN: aws.ToString(got.ARN), LastModified: aws.ToTime(got.LastModifiedDate),
			Version: strconv.FormatInt(got.Version, 10), Exists: true}
		for _, name := range ask[aws.ToString(got.Name)+aws.ToString(got.Selector)] {
			refs[name] = ref
		}
	}
	return refs, nil
}

// lookUp asks for parameters at once. A call is denied as a whole, so that each is asked for
// by itself to find out which of them it is about. names are how they are referred to.
func (p *Provider) lookUp(ctx context.Context, batch []string, names map[string][]string) ([]types.Parameter, error) {
	out, err := p.api.GetParameters(ctx, &sdk.GetParametersInput{Names: batch, WithDecryption: aws.Bool(false)})
	if err == nil {
		return out.Parameters, nil
	}
	err = fmt.Errorf("look up parameters %s: %w", strings.Join(batch, ", "), awsapi.Explain(err))
	reads, ctx := reconcile.NewReads(ctx)
	if len(batch) == 1 {
		for _, name := range names[batch[0]] {
			reads.Go(func() error { return awsapi.Unread(Named(name), err) })
		}
		return nil, reads.Wait()
	}
	if _, ok := reconcile.Unread(awsapi.Unread(Named(batch[0]), err)); !ok {
		return nil, err
	}
	found := make([][]types.Parameter, len(batch))
	for i, name := range batch {
		reads.Go(func() (err error) {
			found[i], err = p.lookUp(ctx, []string{name}, names)
			return err
		})
	}
	err = reads.Wait()
	return slices.Concat(found...), err
}

// local turns an ARN into the parameter's name, and says whether it is one that this
// account holds in this Region. A name in no hierarchy has no slash in front.
func (p *Provider) local(name string) (string, bool) {
	parts := strings.SplitN(name, ":", 6) // arn partition ssm region account parameter/…
	if parts[0] != "arn" || len(parts) < 6 {
		return name, true
	}
	rest := strings.TrimPrefix(parts[5], "parameter")
	if strings.Count(rest, "/") == 1 {
		rest = rest[1:]
	}
	return rest, parts[3] == p.region && parts[4] == p.account
}

// Values reads what parameters hold, so that it can be kept out of what is printed. Those
// of other accounts or Regions and those that are not there are left out.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
func (p *Provider) Values(ctx context.Context, names []string) ([]string, error) {
	var here []string
	for _, name := range names {
		if local, ok := p.local(name); ok {
			here = append(here, local)
		}
	}
	slices.Sort(here)
	var values []string
	for b := range slices.Chunk(slices.Compact(here), batch) {
		out, err := p.api.GetParameters(ctx, &sdk.GetParametersInput{Names: b, WithDecryption: aws.Bool(true)})
		if err != nil {
			return values, fmt.Errorf("read parameters %s: %w", strings.Join(b, ", "), awsapi.Explain(err))
		}
		for _, got := range out.Parameters {
			values = append(values, aws.ToString(got.Value))
		}
	}
	return values, nil
}
