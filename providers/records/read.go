package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/release"
)

const (
	// ahead is how many numbers after the newest that is known are looked for.
	ahead = 3
	// attempts is how many of the failures after the newest success are read.
	attempts = 6
	// batch is how many records one call reads: each is up to 1.4 MB of text.
	batch = 20
)

// Recent reads what is known of the last releases of services, in two calls one after the
// other for each repository, however many records there are. What cannot be read is left
// out and told, by a note each: a damaged record must not keep anybody from planning.
func (s *Store) Recent(ctx context.Context, places []Place) (map[Place]release.Recent, []Damage, error) {
	byRepository := map[string][]Place{}
	for _, p := range places {
		byRepository[p.Repository] = append(byRepository[p.Repository], p)
	}
	var mu sync.Mutex
	all := map[Place]release.Recent{}
	var damaged []Damage
	reads, ctx := reconcile.NewReads(ctx)
	for repository, of := range byRepository {
		reads.Go(func() error {
			found, bad, err := s.recent(ctx, of)
			mu.Lock()
			defer mu.Unlock()
			for p, r := range found {
				all[p] = r
			}
			damaged = append(damaged, bad...)
			return awsapi.Unread(ecr.Repository(repository), err)
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(damaged, func(a, b Damage) int { return cmp.Compare(a.Tag, b.Tag) })
	return all, damaged, nil
}

// Damage is a record that cannot be read.
type Damage struct {
	Place
	Tag string
	Err error
}

// recent reads those of one repository.
func (s *Store) recent(ctx context.Context, places []Place) (map[Place]release.Recent, []Damage, error) {
	var ids []tagged
	for _, p := range places {
		ids = append(ids, tagged{p, release.NewestTag(p.Service)})
	}
	known, asked := map[Place]map[int]release.Record{}, map[tagged]bool{}
	var bad []Damage
	for len(ids) > 0 {
		found, worse, err := s.get(ctx, ids)
		if err != nil {
			return nil, nil, err
		}
		bad, ids = append(bad, worse...), nil
		for _, r := range found {
			if known[r.at] == nil {
				known[r.at] = map[int]release.Record{}
			}
			known[r.at][r.Number] = r.Record
		}
		for p, records := range known {
			for _, n := range around(records) {
				if id := (tagged{p, release.Tag(p.Service, n)}); !asked[id] {
					asked[id] = true
					ids = append(ids, id)
				}
			}
		}
	}
	found := map[Place]release.Recent{}
	for p, records := range known {
		found[p] = summarize(records)
	}
	return found, bad, nil
}

func newestOf(records map[int]release.Record) int {
	top := 0
	for n := range records {
		top = max(top, n)
	}
	return top
}

// around are the numbers of the records that tell, together with those that are known,
// what the last releases were.
func around(known map[int]release.Record) []int {
	var numbers []int
	add := func(n int) {
		if _, have := known[n]; !have && n > 0 {
			numbers = append(numbers, n)
		}
	}
	top := newestOf(known)
	for n := top + 1; n <= top+ahead; n++ {
		add(n)
	}
	if r := known[top]; r.Result != release.Succeeded {
		add(r.Success)
		for n := max(r.Success+1, top-attempts+1); n < top; n++ {
			add(n)
		}
	}
	return numbers
}

// summarize tells the newest success from the attempts after it.
func summarize(records map[int]release.Record) release.Recent {
	recent := release.Recent{Newest: newestOf(records)}
	for n, r := range records {
		if r.Result == release.Succeeded && (recent.Success == nil || n > recent.Success.Number) {
			recent.Success = &r
		}
	}
	for n, r := range records {
		if recent.Success == nil || n > recent.Success.Number {
			recent.Attempts = append(recent.Attempts, r)
		}
	}
	slices.SortFunc(recent.Attempts, func(a, b release.Record) int { return cmp.Compare(b.Number, a.Number) })
	return recent
}

// tagged is a tag to read.
type tagged struct {
	Place
	tag string
}

// read is a record and where it was.
type read struct {
	release.Record
	at Place
}

// get reads tags of one repository. One that does not exist is missing from the result.
func (s *Store) get(ctx context.Context, ids []tagged) ([]read, []Damage, error) {
	var found []read
	var bad []Damage
	for part := range slices.Chunk(ids, batch) {
		in := &sdk.BatchGetImageInput{RepositoryName: &part[0].Repository, AcceptedMediaTypes: []string{manifestType}}
		of := map[string]Place{}
		for _, id := range part {
			of[id.tag] = id.Place
			in.ImageIds = append(in.ImageIds, types.ImageIdentifier{ImageTag: aws.String(id.tag)})
		}
		out, err := s.api.BatchGetImage(ctx, in)
		if awsapi.Is(err, noRepository) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, failed(part[0].Place, "read", err)
		}
		for _, image := range out.Images {
			tag := aws.ToString(image.ImageId.ImageTag)
			r, err := unpack(aws.ToString(image.ImageManifest))
			if err == nil && r.Service != of[tag].Service {
				err = fmt.Errorf("it is of service %q", r.Service)
			}
			if err != nil {
				bad = append(bad, Damage{of[tag], tag, err})
				continue
			}
			found = append(found, read{r, of[tag]})
		}
		for _, f := range out.Failures {
			if f.FailureCode != types.ImageFailureCodeImageNotFound {
				bad = append(bad, Damage{of[aws.ToString(f.ImageId.ImageTag)], aws.ToString(f.ImageId.ImageTag), errors.New(aws.ToString(f.FailureReason))})
			}
		}
	}
	return found, bad, nil
}

// Numbers lists the records of a service, the newest first, by the tags of the repository.
func (s *Store) Numbers(ctx context.Context, p Place) ([]int, error) {
	var numbers []int
	pages := sdk.NewListImagesPaginator(s.api, &sdk.ListImagesInput{RepositoryName: &p.Repository, MaxResults: aws.Int32(1000),
		Filter: &types.ListImagesFilter{TagStatus: types.TagStatusTagged}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.Is(err, noRepository) {
			return nil, nil
		}
		if err != nil {
			return nil, failed(p, "list", err)
		}
		for _, id := range page.ImageIds {
			if n, ok := release.Number(p.Service, aws.ToString(id.ImageTag)); ok {
				numbers = append(numbers, n)
			}
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// Read reads records by their numbers, the newest first. One that is not there is missing.
func (s *Store) Read(ctx context.Context, p Place, numbers []int) ([]release.Record, []Damage, error) {
	ids := make([]tagged, len(numbers))
	for i, n := range numbers {
		ids[i] = tagged{p, release.Tag(p.Service, n)}
	}
	found, bad, err := s.get(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	records := make([]release.Record, len(found))
	for i, r := range found {
		records[i] = r.Record
	}
	slices.SortFunc(records, func(a, b release.Record) int { return cmp.Compare(b.Number, a.Number) })
	return records, bad, nil
}

// Tagged reads the records that some tags of a repository name, of whatever service; what
// is no record's tag is left out, and what cannot be read is told.
func (s *Store) Tagged(ctx context.Context, repository string, tags []string) ([]release.Record, []Damage, error) {
	var ids []tagged
	for _, t := range tags {
		if service, _, ok := release.ParseTag(t); ok {
			ids = append(ids, tagged{Place{repository, service}, t})
		}
	}
	found, bad, err := s.get(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	records := make([]release.Record, len(found))
	for i, r := range found {
		records[i] = r.Record
	}
	return records, bad, nil
}
