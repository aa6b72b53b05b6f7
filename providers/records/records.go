// Package records keeps release records in ECR, beside the images they are about: each is
// a small OCI artifact without a subject, because ECR expires what has one together with
// its subject. The record itself is a layer, and stands once more in the descriptor of the
// layer, so that looking up a tag is all it takes to read it.
//
//	release-SERVICE-000042   a record; immutable, and therefore numbered by ECR itself:
//	                         who comes second finds the number taken, and takes the next
//	live-SERVICE.release     moves to the newest, so that no list is needed to find it
//
// A run that dies between the two leaves the second one behind by a record or so, for
// which readers look ahead.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/oras-artifact.html
// https://github.com/opencontainers/image-spec/blob/main/manifest.md
package records

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	BatchCheckLayerAvailability(context.Context, *sdk.BatchCheckLayerAvailabilityInput, ...func(*sdk.Options)) (*sdk.BatchCheckLayerAvailabilityOutput, error)
	BatchGetImage(context.Context, *sdk.BatchGetImageInput, ...func(*sdk.Options)) (*sdk.BatchGetImageOutput, error)
	CompleteLayerUpload(context.Context, *sdk.CompleteLayerUploadInput, ...func(*sdk.Options)) (*sdk.CompleteLayerUploadOutput, error)
	InitiateLayerUpload(context.Context, *sdk.InitiateLayerUploadInput, ...func(*sdk.Options)) (*sdk.InitiateLayerUploadOutput, error)
	ListImages(context.Context, *sdk.ListImagesInput, ...func(*sdk.Options)) (*sdk.ListImagesOutput, error)
	PutImage(context.Context, *sdk.PutImageInput, ...func(*sdk.Options)) (*sdk.PutImageOutput, error)
	UploadLayerPart(context.Context, *sdk.UploadLayerPartInput, ...func(*sdk.Options)) (*sdk.UploadLayerPartOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Store reads and writes release records.
type Store struct{ api api }

// New returns the store of one account and Region.
func New(cfg aws.Config) *Store { return &Store{sdk.NewFromConfig(cfg)} }

// Place is where the records of a service are.
type Place struct {
	Repository string
	Service    string
}

// PlaceOf is where the records of a manifest's service are.
func PlaceOf(spec state.Spec) Place { return Place{spec.Image.Repository, spec.Service} }

// noRepository is what ECR says of a repository that is not there.
const noRepository = "RepositoryNotFoundException"

func failed(p Place, doing string, err error) error {
	return fmt.Errorf("release records of %s in repository %q: %s: %w", p.Service, p.Repository, doing, awsapi.Explain(err))
}
