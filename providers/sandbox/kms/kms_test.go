package kms_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/kms"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

func open(t *testing.T, dir string) *sdk.Client {
	st, err := store.Open(dir)
	require.NoError(t, err)
	s, err := kms.New(kms.Options{Store: st, Account: wiretest.Account, Region: wiretest.Region})
	require.NoError(t, err)
	return sdk.NewFromConfig(wiretest.Config(t, func(m *wire.Mux) { m.Add(s.API()) }))
}

func TestKey_isFoundByAllItsNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := open(t, dir).CreateKey(t.Context(), &sdk.CreateKeyInput{Description: aws.String("of the shop")})
	require.NoError(t, err)
	id := *made.KeyMetadata.KeyId
	_, err = open(t, dir).CreateAlias(t.Context(), &sdk.CreateAliasInput{AliasName: aws.String("alias/shop"), TargetKeyId: &id})
	require.NoError(t, err)
	c := open(t, dir)
	for _, name := range []string{id, *made.KeyMetadata.Arn, "alias/shop", "arn:aws:kms:us-east-1:123456789012:alias/shop"} {
		got, err := c.DescribeKey(t.Context(), &sdk.DescribeKeyInput{KeyId: &name})
		require.NoError(t, err)
		require.Equal(t, made.KeyMetadata, got.KeyMetadata)
		policy, err := c.GetKeyPolicy(t.Context(), &sdk.GetKeyPolicyInput{KeyId: &name})
		require.NoError(t, err)
		require.Contains(t, *policy.Policy, "arn:aws:iam::123456789012:root")
	}
	own, err := c.DescribeKey(t.Context(), &sdk.DescribeKeyInput{KeyId: aws.String("alias/aws/ssm")})
	require.NoError(t, err)
	require.Equal(t, "AWS", string(own.KeyMetadata.KeyManager))
	of, err := c.ListAliases(t.Context(), &sdk.ListAliasesInput{KeyId: &id})
	require.NoError(t, err)
	require.Equal(t, "alias/shop", *of.Aliases[0].AliasName)
	n := 0
	for pages := sdk.NewListAliasesPaginator(c, &sdk.ListAliasesInput{Limit: aws.Int32(1)}); pages.HasMorePages(); n++ {
		_, err := pages.NextPage(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 4, n)
	all, err := c.ListKeys(t.Context(), &sdk.ListKeysInput{})
	require.NoError(t, err)
	require.Len(t, all.Keys, 4)

	for name, code := range map[string]string{"alias/none": "NotFoundException", "0": "NotFoundException", "arn:aws:kms:eu-west-1:1:key/0": "InvalidArnException"} {
		_, err = c.DescribeKey(t.Context(), &sdk.DescribeKeyInput{KeyId: &name})
		wiretest.Refused(t, err, code, "")
	}
	_, err = c.CreateAlias(t.Context(), &sdk.CreateAliasInput{AliasName: aws.String("alias/shop"), TargetKeyId: &id})
	wiretest.Refused(t, err, "AlreadyExistsException", "alias/shop")
	_, err = c.CreateAlias(t.Context(), &sdk.CreateAliasInput{AliasName: aws.String("shop"), TargetKeyId: &id})
	wiretest.Refused(t, err, "InvalidAliasNameException", "")
}
