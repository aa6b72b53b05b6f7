package apprunner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
)

// Deployed says which services of the account and Region run which image, whoever made
// them. Images of the account's own registry are named REPOSITORY:TAG or
// REPOSITORY@DIGEST. A paused service counts: it may be resumed.
func (p *Provider) Deployed(ctx context.Context) (map[string][]string, error) {
	var mu sync.Mutex
	deployed := map[string][]string{}
	err := p.each(ctx, func(s *types.Service) {
		source := s.SourceConfiguration
		if source == nil || source.ImageRepository == nil {
			return // built by App Runner from a repository of code
		}
		mu.Lock()
		defer mu.Unlock()
		id := strings.TrimPrefix(aws.ToString(source.ImageRepository.ImageIdentifier), p.scope().registry()+"/")
		deployed[id] = append(deployed[id], aws.ToString(s.ServiceName))
	})
	for _, names := range deployed {
		slices.Sort(names)
	}
	return deployed, err
}

// each describes every service of the account and Region, several at a time. Its error tells
// which of them could not be read, as [reconcile.Unread] takes it apart.
func (p *Provider) each(ctx context.Context, visit func(*types.Service)) error {
	reads, gctx := reconcile.NewReads(ctx)
	pages := sdk.NewListServicesPaginator(p.api, &sdk.ListServicesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(gctx)
		if err != nil {
			_ = reads.Wait() // one that ended all of them has ended this, too
			return fmt.Errorf("list services: %w", awsapi.Explain(err))
		}
		for _, s := range page.ServiceSummaryList {
			if s.Status == types.ServiceStatusDeleted {
				continue
			}
			reads.Go(func() error {
				out, err := p.api.DescribeService(gctx, &sdk.DescribeServiceInput{ServiceArn: s.ServiceArn})
				if err != nil {
					return awsapi.Unread(Service(aws.ToString(s.ServiceName)), gone(aws.ToString(s.ServiceArn), "describe", err))
				}
				visit(out.Service)
				return nil
			})
		}
	}
	return reads.Wait()
}
