// Package ecr observes and changes Elastic Container Registry: the repository, its
// images as far as a plan must know them, and the tags that are put after a rollout.
//
//	ecr/repository/NAME   shared by every manifest that names it
//	ecr/image/NAME:TAG    observed here, built and pushed by package image
//	ecr/tag/NAME:TAG      a version, a moving tag, or live-SERVICE
package ecr

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	target         = "ecr"
	kindRepository = "repository"
	kindImage      = "image"
	kindTag        = "tag"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	BatchDeleteImage(context.Context, *sdk.BatchDeleteImageInput, ...func(*sdk.Options)) (*sdk.BatchDeleteImageOutput, error)
	BatchGetImage(context.Context, *sdk.BatchGetImageInput, ...func(*sdk.Options)) (*sdk.BatchGetImageOutput, error)
	CreateRepository(context.Context, *sdk.CreateRepositoryInput, ...func(*sdk.Options)) (*sdk.CreateRepositoryOutput, error)
	DeleteRepository(context.Context, *sdk.DeleteRepositoryInput, ...func(*sdk.Options)) (*sdk.DeleteRepositoryOutput, error)
	DescribeImages(context.Context, *sdk.DescribeImagesInput, ...func(*sdk.Options)) (*sdk.DescribeImagesOutput, error)
	DescribeRepositories(context.Context, *sdk.DescribeRepositoriesInput, ...func(*sdk.Options)) (*sdk.DescribeRepositoriesOutput, error)
	GetAuthorizationToken(context.Context, *sdk.GetAuthorizationTokenInput, ...func(*sdk.Options)) (*sdk.GetAuthorizationTokenOutput, error)
	GetDownloadUrlForLayer(context.Context, *sdk.GetDownloadUrlForLayerInput, ...func(*sdk.Options)) (*sdk.GetDownloadUrlForLayerOutput, error)
	GetLifecyclePolicy(context.Context, *sdk.GetLifecyclePolicyInput, ...func(*sdk.Options)) (*sdk.GetLifecyclePolicyOutput, error)
	GetRepositoryPolicy(context.Context, *sdk.GetRepositoryPolicyInput, ...func(*sdk.Options)) (*sdk.GetRepositoryPolicyOutput, error)
	ListImages(context.Context, *sdk.ListImagesInput, ...func(*sdk.Options)) (*sdk.ListImagesOutput, error)
	ListTagsForResource(context.Context, *sdk.ListTagsForResourceInput, ...func(*sdk.Options)) (*sdk.ListTagsForResourceOutput, error)
	PutImage(context.Context, *sdk.PutImageInput, ...func(*sdk.Options)) (*sdk.PutImageOutput, error)
	PutImageScanningConfiguration(context.Context, *sdk.PutImageScanningConfigurationInput, ...func(*sdk.Options)) (*sdk.PutImageScanningConfigurationOutput, error)
	PutImageTagMutability(context.Context, *sdk.PutImageTagMutabilityInput, ...func(*sdk.Options)) (*sdk.PutImageTagMutabilityOutput, error)
	PutLifecyclePolicy(context.Context, *sdk.PutLifecyclePolicyInput, ...func(*sdk.Options)) (*sdk.PutLifecyclePolicyOutput, error)
	TagResource(context.Context, *sdk.TagResourceInput, ...func(*sdk.Options)) (*sdk.TagResourceOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Provider handles repositories and tags.
type Provider struct {
	api       api
	partition string
	account   string
	region    string
	// Verify, if set, must succeed for a service before its live- tag is put. The rollout
	// itself may be older than this run.
	Verify func(ctx context.Context, service string, env apply.Env) error
}

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider for one account and Region.
func New(cfg aws.Config, id awsapi.Identity) *Provider {
	return &Provider{api: sdk.NewFromConfig(cfg), partition: id.Partition, account: id.Account, region: cfg.Region}
}

// Types implements [reconcile.Provider]. Images are executed by package image.
func (p *Provider) Types() []string {
	return []string{target + "/" + kindRepository, target + "/" + kindTag}
}

func (p *Provider) arn(repository string) string {
	return fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", p.partition, p.region, p.account, repository)
}

// Repository is the address of a repository.
func Repository(name string) state.Address {
	return state.Address{Target: target, Kind: kindRepository, Name: name}
}

// Image is the address of an image by its tag.
func Image(repository, tag string) state.Address {
	return state.Address{Target: target, Kind: kindImage, Name: repository + ":" + tag}
}

// Tag is the address of a tag that follows a rollout.
func Tag(repository, tag string) state.Address {
	return state.Address{Target: target, Kind: kindTag, Name: repository + ":" + tag}
}

// split separates the name of an image or tag address.
func split(name string) (repository, tag string) {
	i := strings.LastIndexByte(name, ':')
	return name[:i], name[i+1:]
}

// Registry returns where images are pushed to and with what. The token lives for twelve
// hours; the host is the one that AWS names, whatever the repository's URI says.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
func (p *Provider) Registry(ctx context.Context) (endpoint, username, password string, err error) {
	out, err := p.api.GetAuthorizationToken(ctx, &sdk.GetAuthorizationTokenInput{})
	if err != nil {
		return "", "", "", fmt.Errorf("get a registry token: %w", awsapi.Explain(err))
	}
	if len(out.AuthorizationData) == 0 {
		return "", "", "", fmt.Errorf("get a registry token: AWS returned none")
	}
	data := out.AuthorizationData[0]
	token, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	if err != nil {
		return "", "", "", fmt.Errorf("get a registry token: AWS returned one that is not base64")
	}
	username, password, _ = strings.Cut(string(token), ":")
	return aws.ToString(data.ProxyEndpoint), username, password, nil
}
