package secretsmanager

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// fake answers by name and by ARN, as Secrets Manager does.
type fake struct {
	secrets   map[string]sdk.DescribeSecretOutput // by name
	deny      bool
	now, most atomic.Int32
}

func (f *fake) DescribeSecret(ctx context.Context, in *sdk.DescribeSecretInput, _ ...func(*sdk.Options)) (*sdk.DescribeSecretOutput, error) {
	n := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if f.deny {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "denied"}
	}
	for name, s := range f.secrets {
		if *in.SecretId == name || *in.SecretId == *s.ARN || *in.SecretId == strings.TrimSuffix(*s.ARN, "-a1b2c3") {
			return &s, nil
		}
	}
	return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
}

func (f *fake) GetResourcePolicy(context.Context, *sdk.GetResourcePolicyInput, ...func(*sdk.Options)) (*sdk.GetResourcePolicyOutput, error) {
	return &sdk.GetResourcePolicyOutput{}, nil
}

func (f *fake) GetSecretValue(_ context.Context, in *sdk.GetSecretValueInput, _ ...func(*sdk.Options)) (*sdk.GetSecretValueOutput, error) {
	if f.deny {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "denied"}
	}
	return &sdk.GetSecretValueOutput{SecretString: aws.String("of " + *in.SecretId)}, nil
}

func TestValues_saysWhatItCannotRead(t *testing.T) {
	_, err := New(&fake{deny: true}, Options{Region: "us-east-1"}).Values(t.Context(), []Value{{Name: "a"}, {Name: base + "b-a1b2c3"}})
	require.ErrorContains(t, err, "read secret a")
	require.ErrorContains(t, err, "read secret "+base+"b")
	values, err := New(&fake{}, Options{Region: "eu-west-1"}).Values(t.Context(), []Value{{Name: "a"}, {Name: base + "b-a1b2c3"}})
	require.NoError(t, err)
	require.Equal(t, []string{"of a"}, values, "another Region's is left alone")
}

func TestFieldsOf_areAsTheyStandAndAsTheyArePassedOn(t *testing.T) {
	require.ElementsMatch(t, []string{"x\ny", "1e+06", "1000000", "map[a:[1 2]]", `{"a": [1,2]}`},
		fieldsOf(`{"text":"x\ny","limit":1000000,"tls":true,"none": null,"more":{"a": [1,2]}}`))
	require.Empty(t, fieldsOf("no JSON"))
	require.Empty(t, fieldsOf(`["no object"]`))
}

const base = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"

var changed = time.Unix(1_700_000_000, 0)

func secret(name string) sdk.DescribeSecretOutput {
	return sdk.DescribeSecretOutput{Name: &name, ARN: aws.String(base + name + "-a1b2c3"), LastChangedDate: &changed}
}

func TestResolve(t *testing.T) {
	deleted, keyed, managed, fresh := secret("deleted"), secret("keyed"), secret("managed"), secret("fresh")
	deleted.DeletedDate = &changed
	keyed.KmsKeyId = aws.String("arn:aws:kms:us-east-1:123456789012:key/1")
	managed.KmsKeyId = aws.String("alias/aws/secretsmanager")
	fresh.LastChangedDate, fresh.CreatedDate = nil, &changed
	f := &fake{secrets: map[string]sdk.DescribeSecretOutput{
		"prod/openai": secret("prod/openai"), "deleted": deleted, "keyed": keyed, "managed": managed, "fresh": fresh,
	}}
	found := Reference{ARN: base + "prod/openai-a1b2c3", LastModified: changed, Exists: true}
	far := "arn:aws:secretsmanager:eu-west-1:123456789012:secret:far-a1b2c3"
	for ref, want := range map[string]Reference{
		"prod/openai":                      found,
		base + "prod/openai-a1b2c3":        found,
		base + "prod/openai-a1b2c3:key::":  found,
		base + "prod/openai":               found,
		"missing":                          {},
		"deleted":                          {ARN: base + "deleted-a1b2c3", LastModified: changed, Deleting: true},
		"keyed":                            {ARN: base + "keyed-a1b2c3", LastModified: changed, Exists: true, Key: "arn:aws:kms:us-east-1:123456789012:key/1"},
		"managed":                          {ARN: base + "managed-a1b2c3", LastModified: changed, Exists: true},
		"fresh":                            {ARN: base + "fresh-a1b2c3", LastModified: changed, Exists: true},
		far:                                {ARN: far, Exists: true, Unchecked: true},
		far + ":key:AWSCURRENT:0123456789": {ARN: far, Exists: true, Unchecked: true},
	} {
		t.Run(ref, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := New(f, Options{Region: "us-east-1"}).Resolve(t.Context(), []string{ref})
				require.NoError(t, err)
				require.Equal(t, map[string]Reference{ref: want}, got)
			})
		})
	}
}

func TestReference_KeyARN(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "alias/mine": "", "arn:aws:kms:us-east-1:123456789012:alias/mine": "",
		"arn:aws:kms:eu-west-1:999999999999:key/1": "arn:aws:kms:eu-west-1:999999999999:key/1",
		"1234abcd-12ab-34cd-56ef-1234567890ab":     "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
	} {
		require.Equal(t, want, Reference{ARN: base + "keyed-a1b2c3", Key: key}.KeyARN(), key)
	}
	require.Empty(t, Reference{Key: "1234abcd-12ab-34cd-56ef-1234567890ab"}.KeyARN())
}

func TestResolve_asksSideBySideWithinALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{secrets: map[string]sdk.DescribeSecretOutput{}}
		var refs []string
		for i := range 20 {
			name := fmt.Sprintf("s%d", i)
			f.secrets[name] = secret(name)
			refs = append(refs, name)
		}
		start := time.Now()
		got, err := New(f, Options{Region: "us-east-1"}).Resolve(t.Context(), refs)
		require.NoError(t, err)
		require.Len(t, got, 20)
		require.EqualValues(t, parallel, f.most.Load())
		require.Equal(t, 150*time.Millisecond, time.Since(start))
	})
}

func TestResolve_needsTheLookUpForANameOnly(t *testing.T) {
	f := &fake{deny: true}
	r := New(f, Options{Region: "us-east-1"})
	got, err := r.Resolve(t.Context(), []string{base + "prod/openai-a1b2c3"})
	require.NoError(t, err)
	require.True(t, got[base+"prod/openai-a1b2c3"].Unchecked)
	_, err = r.Resolve(t.Context(), []string{"prod/openai"})
	require.ErrorContains(t, err, `look up secret "prod/openai"`)
}

func TestValueFrom(t *testing.T) {
	require.Equal(t, base+"a", ValueFrom(base+"a", "", "", ""))
	require.Equal(t, base+"a:key::", ValueFrom(base+"a", "key", "", ""))
	require.Equal(t, base+"a::AWSPREVIOUS:", ValueFrom(base+"a", "", "AWSPREVIOUS", ""))
	require.Equal(t, base+"a:key::0123", ValueFrom(base+"a", "key", "", "0123"))
	require.Equal(t, Value{Name: base + "a"}, ParseValue(base+"a"))
	require.Equal(t, Value{Name: base + "a"}, ParseValue(base+"a:key::"))
	require.Equal(t, Value{Name: base + "a", Stage: "AWSPREVIOUS", Version: "0123"}, ParseValue(base+"a:key:AWSPREVIOUS:0123"))
}
