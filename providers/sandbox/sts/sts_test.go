package sts_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/sts"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

func TestCallerIdentity_isTheSandboxsUser(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := wiretest.Config(t, func(m *wire.Mux) { m.AddQuery(sts.API(wiretest.Account)) })
	for _, region := range []string{wiretest.Region, "eu-west-1"} { // STS is global
		out, err := sdk.NewFromConfig(cfg, func(o *sdk.Options) { o.Region = region }).GetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{})
		require.NoError(t, err)
		require.Equal(t, wiretest.Account, *out.Account)
		require.Equal(t, "arn:aws:iam::123456789012:user/sandbox", *out.Arn)
		require.Equal(t, sts.UserID, *out.UserId)
	}
	_, err := sdk.NewFromConfig(cfg).AssumeRole(ctx, &sdk.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/x"), RoleSessionName: aws.String("me")})
	wiretest.Refused(t, err, "InvalidAction", "Could not find operation AssumeRole for version 2011-06-15")
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIAREAL", "real", "")
	_, err = sdk.NewFromConfig(cfg).GetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{})
	wiretest.Refused(t, err, "InvalidClientTokenId", "The security token included in the request is invalid.")
}
