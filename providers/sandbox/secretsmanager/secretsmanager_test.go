package secretsmanager_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/secretsmanager"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

const day = 24 * time.Hour

// world is a Secrets Manager behind the real SDK, at a time that stands still.
type world struct {
	testing.TB
	ctx     context.Context
	dir     string
	now     time.Time
	service *secretsmanager.Service
	client  *sdk.Client
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, ctx: context.Background(), dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.open()
	return w
}

// open starts the service on what the directory holds.
func (w *world) open() {
	w.Helper()
	st, err := store.Open(w.dir)
	require.NoError(w, err)
	w.service, err = secretsmanager.New(secretsmanager.Options{
		Store: st, Account: wiretest.Account, Region: wiretest.Region, Now: func() time.Time { return w.now },
	})
	require.NoError(w, err)
	w.client = sdk.NewFromConfig(wiretest.Config(w, func(m *wire.Mux) { m.Add(w.service.API()) }))
}

// create makes a secret and returns its ARN.
func (w *world) create(name, value string, adjust ...func(*sdk.CreateSecretInput)) string {
	w.Helper()
	in := &sdk.CreateSecretInput{Name: &name, SecretString: &value}
	for _, f := range adjust {
		f(in)
	}
	out, err := w.client.CreateSecret(w.ctx, in)
	require.NoError(w, err)
	return *out.ARN
}

// put adds a version and returns its id.
func (w *world) put(id, value string, stages ...string) string {
	w.Helper()
	out, err := w.client.PutSecretValue(w.ctx, &sdk.PutSecretValueInput{SecretId: &id, SecretString: &value, VersionStages: stages})
	require.NoError(w, err)
	return *out.VersionId
}

// value reads the current value.
func (w *world) value(id string) (string, error) {
	out, err := w.client.GetSecretValue(w.ctx, &sdk.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", err
	}
	return *out.SecretString, nil
}

func (w *world) describe(id string) *sdk.DescribeSecretOutput {
	w.Helper()
	out, err := w.client.DescribeSecret(w.ctx, &sdk.DescribeSecretInput{SecretId: &id})
	require.NoError(w, err)
	return out
}

func TestSecret_isFoundByNameARNAndPartOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("prod/key", "s3cret", func(in *sdk.CreateSecretInput) {
		in.Description, in.Tags = aws.String("the key"), []types.Tag{{Key: aws.String("team"), Value: aws.String("ai")}}
	})
	require.Regexp(t, `^arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/key-[A-Za-z0-9]{6}$`, arn)
	w.open()
	for _, id := range []string{"prod/key", arn, arn[:len(arn)-7]} {
		got, err := w.value(id)
		require.NoError(t, err, id)
		require.Equal(t, "s3cret", got)
	}
	for _, id := range []string{"prod", "prod/key-", arn + "x", arn[:len(arn)-6]} {
		_, err := w.value(id)
		wiretest.Refused(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	got := w.describe(arn)
	require.Equal(t, "prod/key", *got.Name)
	require.Equal(t, "the key", *got.Description)
	require.Equal(t, w.now, *got.CreatedDate)
	require.Equal(t, w.now.Truncate(day), *got.LastAccessedDate, "the day only")
	require.Nil(t, got.DeletedDate)
	require.Equal(t, []types.Tag{{Key: aws.String("team"), Value: aws.String("ai")}}, got.Tags)
}

func TestVersions_moveTheirStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("key", "one")
	stages := func() map[string]string {
		byStage := map[string]string{}
		for version, stages := range w.describe("key").VersionIdsToStages {
			for _, s := range stages {
				out, err := w.client.GetSecretValue(w.ctx, &sdk.GetSecretValueInput{SecretId: &arn, VersionId: &version, VersionStage: &s})
				require.NoError(t, err)
				byStage[s] = *out.SecretString
			}
		}
		return byStage
	}
	first := slices.Collect(maps.Keys(w.describe("key").VersionIdsToStages))[0]
	require.Equal(t, map[string]string{"AWSCURRENT": "one"}, stages())
	w.now = w.now.Add(time.Minute)
	w.put("key", "two")
	require.Equal(t, w.now, *w.describe("key").LastChangedDate)
	require.Equal(t, map[string]string{"AWSCURRENT": "two", "AWSPREVIOUS": "one"}, stages())
	w.put("key", "pending", "AWSPENDING")
	require.Equal(t, map[string]string{"AWSCURRENT": "two", "AWSPREVIOUS": "one", "AWSPENDING": "pending"}, stages())
	out, err := w.client.UpdateSecret(w.ctx, &sdk.UpdateSecretInput{SecretId: &arn, SecretString: aws.String("three"), Description: aws.String("new")})
	require.NoError(t, err)
	require.NotEmpty(t, *out.VersionId)
	require.Equal(t, map[string]string{"AWSCURRENT": "three", "AWSPREVIOUS": "two", "AWSPENDING": "pending"}, stages())
	require.Equal(t, "new", *w.describe("key").Description)

	get := func(version, stage string) error {
		in := &sdk.GetSecretValueInput{SecretId: &arn}
		if version != "" {
			in.VersionId = &version
		}
		if stage != "" {
			in.VersionStage = &stage
		}
		_, err := w.client.GetSecretValue(w.ctx, in)
		return err
	}
	wiretest.Refused(t, get(first, ""), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+first)
	wiretest.Refused(t, get("", "AWSNONE"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSNONE")
	wiretest.Refused(t, get(*out.VersionId, "AWSPREVIOUS"), "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
}

func TestWrites_mayBeRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := strings.Repeat("t", 32)
	in := &sdk.CreateSecretInput{Name: aws.String("key"), SecretString: aws.String("one"), ClientRequestToken: &token}
	first, err := w.client.CreateSecret(w.ctx, in)
	require.NoError(t, err)
	again, err := w.client.CreateSecret(w.ctx, in)
	require.NoError(t, err)
	require.Equal(t, *first.ARN, *again.ARN)
	require.Len(t, w.describe("key").VersionIdsToStages, 1)
	in.SecretString = aws.String("two")
	_, err = w.client.CreateSecret(w.ctx, in)
	wiretest.Refused(t, err, "ResourceExistsException", "The operation failed because the secret key already exists.")

	put := func(value string) error {
		_, err := w.client.PutSecretValue(w.ctx, &sdk.PutSecretValueInput{SecretId: in.Name, SecretString: &value, ClientRequestToken: &token})
		return err
	}
	require.NoError(t, put("one"))
	wiretest.Refused(t, put("two"), "ResourceExistsException", "You can't use ClientRequestToken "+token)
	got, err := w.value("key")
	require.NoError(t, err)
	require.Equal(t, "one", got)
}

func TestBinary_comesBackAsBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := []byte{0, 255, 'a'}
	_, err := w.client.CreateSecret(w.ctx, &sdk.CreateSecretInput{Name: aws.String("blob"), SecretBinary: raw})
	require.NoError(t, err)
	out, err := w.client.GetSecretValue(w.ctx, &sdk.GetSecretValueInput{SecretId: aws.String("blob")})
	require.NoError(t, err)
	require.Equal(t, raw, out.SecretBinary)
	require.Nil(t, out.SecretString)
}

func TestDelete_canBeTakenBackUntilTheWindowEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("key", "one")
	const marked = "You can't perform this operation on the secret because it was marked for deletion."
	remove := func(in sdk.DeleteSecretInput) (*sdk.DeleteSecretOutput, error) {
		in.SecretId = aws.String("key")
		return w.client.DeleteSecret(w.ctx, &in)
	}
	out, err := remove(sdk.DeleteSecretInput{})
	require.NoError(t, err)
	require.Equal(t, w.now.Add(30*day), *out.DeletionDate)
	require.Equal(t, w.now, *w.describe("key").DeletedDate)
	_, err = w.value("key")
	wiretest.Refused(t, err, "InvalidRequestException", marked)
	_, err = w.client.PutSecretValue(w.ctx, &sdk.PutSecretValueInput{SecretId: &arn, SecretString: aws.String("x")})
	wiretest.Refused(t, err, "InvalidRequestException", marked)
	_, err = w.client.UpdateSecret(w.ctx, &sdk.UpdateSecretInput{SecretId: &arn, Description: aws.String("x")})
	wiretest.Refused(t, err, "InvalidRequestException", marked)
	_, err = w.client.CreateSecret(w.ctx, &sdk.CreateSecretInput{Name: aws.String("key")})
	wiretest.Refused(t, err, "InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	_, err = w.service.Value("key")
	require.ErrorContains(t, err, marked)

	_, err = w.client.RestoreSecret(w.ctx, &sdk.RestoreSecretInput{SecretId: &arn})
	require.NoError(t, err)
	got, err := w.value("key")
	require.NoError(t, err)
	require.Equal(t, "one", got)

	_, err = remove(sdk.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(6)})
	wiretest.Refused(t, err, "InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	_, err = remove(sdk.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
	wiretest.Refused(t, err, "InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	_, err = remove(sdk.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)})
	require.NoError(t, err)
	w.now = w.now.Add(7*day - time.Second)
	require.NotNil(t, w.describe("key").DeletedDate)
	w.now = w.now.Add(time.Second)
	_, err = w.client.DescribeSecret(w.ctx, &sdk.DescribeSecretInput{SecretId: aws.String("key")})
	wiretest.Refused(t, err, "ResourceNotFoundException", "")
	require.NotEqual(t, arn, w.create("key", "two"), "a new secret has a new ARN")

	_, err = remove(sdk.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)})
	require.NoError(t, err)
	_, err = remove(sdk.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)})
	require.NoError(t, err, "force forgives")
	_, err = remove(sdk.DeleteSecretInput{})
	wiretest.Refused(t, err, "ResourceNotFoundException", "")
}

func TestWrites_refuseWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("key", "one")
	const value = "hunter2hunter2"
	for name, tc := range map[string]struct {
		in         sdk.CreateSecretInput
		code, text string
	}{
		"a taken name": {sdk.CreateSecretInput{Name: aws.String("key")}, "ResourceExistsException", "The operation failed because the secret key already exists."},
		"a name's letters": {sdk.CreateSecretInput{Name: aws.String("a b")}, "ValidationException",
			"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"},
		"a long name":    {sdk.CreateSecretInput{Name: aws.String(strings.Repeat("a", 513))}, "ValidationException", "less than or equal to 512"},
		"a short token":  {sdk.CreateSecretInput{Name: aws.String("x"), ClientRequestToken: aws.String("t")}, "ValidationException", "greater than or equal to 32"},
		"too much":       {sdk.CreateSecretInput{Name: aws.String("x"), SecretString: aws.String(strings.Repeat(value, 4682))}, "ValidationException", "Value at 'secretString'"},
		"two values":     {sdk.CreateSecretInput{Name: aws.String("x"), SecretString: aws.String(value), SecretBinary: []byte(value)}, "InvalidParameterException", "both a binary secret value and a string"},
		"a tag's length": {sdk.CreateSecretInput{Name: aws.String("x"), Tags: []types.Tag{{Key: aws.String(strings.Repeat("k", 129))}}}, "ValidationException", "tags.member.key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.CreateSecret(w.ctx, &tc.in)
			wiretest.Refused(t, err, tc.code, tc.text)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := w.client.PutSecretValue(w.ctx, &sdk.PutSecretValueInput{SecretId: aws.String("key")})
	wiretest.Refused(t, err, "InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	_, err = w.client.PutSecretValue(w.ctx, &sdk.PutSecretValueInput{SecretId: aws.String("none"), SecretString: aws.String("x")})
	wiretest.Refused(t, err, "ResourceNotFoundException", "")
}

func TestTags_ofASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := aws.String(w.create("key", "one"))
	tag := func(key string) types.Tag { return types.Tag{Key: &key, Value: aws.String("v")} }
	_, err := w.client.TagResource(w.ctx, &sdk.TagResourceInput{SecretId: id, Tags: []types.Tag{tag("b"), tag("a")}})
	require.NoError(t, err)
	_, err = w.client.UntagResource(w.ctx, &sdk.UntagResourceInput{SecretId: id, TagKeys: []string{"b", "none"}})
	require.NoError(t, err)
	require.Equal(t, []types.Tag{tag("a")}, w.describe("key").Tags)
	var many []types.Tag
	for n := range 50 {
		many = append(many, tag(fmt.Sprint("key", n)))
	}
	_, err = w.client.TagResource(w.ctx, &sdk.TagResourceInput{SecretId: id, Tags: many})
	wiretest.Refused(t, err, "InvalidParameterException", "50")
	require.Len(t, w.describe("key").Tags, 1, "all or nothing")
}

func TestList_pagesSortsAndFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"prod/db", "prod/api key", "test/db", "gone"} {
		w.create(strings.ReplaceAll(name, " ", "-"), "x", func(in *sdk.CreateSecretInput) {
			in.Description = aws.String("The " + name)
			in.Tags = []types.Tag{{Key: aws.String("env"), Value: aws.String(name[:4])}}
		})
		w.now = w.now.Add(time.Minute)
	}
	_, err := w.client.DeleteSecret(w.ctx, &sdk.DeleteSecretInput{SecretId: aws.String("gone")})
	require.NoError(t, err)
	list := func(in sdk.ListSecretsInput) (names []string) {
		pages := sdk.NewListSecretsPaginator(w.client, &in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(w.ctx)
			require.NoError(t, err)
			for _, s := range out.SecretList {
				names = append(names, *s.Name)
				require.Len(t, s.SecretVersionsToStages, 1)
			}
		}
		return names
	}
	filter := func(key types.FilterNameStringType, values ...string) sdk.ListSecretsInput {
		return sdk.ListSecretsInput{SortOrder: types.SortOrderTypeAsc, Filters: []types.Filter{{Key: key, Values: values}}}
	}
	require.Equal(t, []string{"test/db", "prod/api-key", "prod/db"}, list(sdk.ListSecretsInput{MaxResults: aws.Int32(1)}), "newest first")
	require.Equal(t, []string{"prod/api-key", "prod/db", "test/db"}, list(sdk.ListSecretsInput{SortBy: types.SortByTypeName, SortOrder: types.SortOrderTypeAsc, MaxResults: aws.Int32(2)}))
	require.Contains(t, list(sdk.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}), "gone")
	require.Equal(t, []string{"prod/db", "prod/api-key"}, list(filter(types.FilterNameStringTypeName, "prod/")))
	require.Equal(t, []string{"test/db"}, list(filter(types.FilterNameStringTypeName, "!prod/")))
	require.Equal(t, []string{"prod/api-key"}, list(filter(types.FilterNameStringTypeDescription, "KEY")))
	require.Equal(t, []string{"test/db"}, list(filter(types.FilterNameStringTypeTagValue, "test")))
	require.Len(t, list(filter(types.FilterNameStringTypeTagKey, "env")), 3)
	require.Equal(t, []string{"prod/db", "test/db"}, list(filter(types.FilterNameStringTypeAll, "db")))
	_, err = w.client.ListSecrets(w.ctx, &sdk.ListSecretsInput{NextToken: aws.String("abc")})
	wiretest.Refused(t, err, "InvalidNextTokenException", "")
	_, err = w.client.ListSecrets(w.ctx, &sdk.ListSecretsInput{MaxResults: aws.Int32(101)})
	wiretest.Refused(t, err, "ValidationException", "less than or equal to 100")
}

// The references that App Runner and ECS take.
func TestValue_resolvesReferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("db", `{"user":"old","port":1}`)
	oldVersion := slices.Collect(maps.Keys(w.describe("db").VersionIdsToStages))[0]
	w.put("db", `{"user":"me","port":5432,"on":true,"nested":{"a":[1]},"limit":1000000,"none":null}`)
	for ref, want := range map[string]string{
		"db":                         `{"user":"me","port":5432,"on":true,"nested":{"a":[1]},"limit":1000000,"none":null}`,
		arn:                          `{"user":"me","port":5432,"on":true,"nested":{"a":[1]},"limit":1000000,"none":null}`,
		arn[:len(arn)-7]:             `{"user":"me","port":5432,"on":true,"nested":{"a":[1]},"limit":1000000,"none":null}`,
		arn + ":user::":              "me",
		arn + ":user":                "me",
		arn + ":port::":              "5432",
		arn + ":on::":                "true",
		arn + ":nested::":            "map[a:[1]]",
		arn + ":limit::":             "1e+06",
		arn + ":none::":              "<nil>",
		arn + ":user:AWSPREVIOUS:":   "old",
		arn + ":user::" + oldVersion: "old",
		arn + ":::" + oldVersion:     `{"user":"old","port":1}`,
		arn[:len(arn)-7] + ":user::": "me",
	} {
		got, err := w.service.Value(ref)
		require.NoError(t, err, ref)
		require.Equal(t, want, got, ref)
	}
	text := w.create("text", "hunter2hunter2")
	for ref, want := range map[string]string{
		arn + ":nope::":        `its value has no key "nope"`,
		text + ":user::":       `its value is not a JSON object, so it has no key "user"`,
		"none":                 "Secrets Manager can't find the specified secret.",
		arn + ":user:AWSNONE:": "staging label: AWSNONE",
	} {
		_, err := w.service.Value(ref)
		require.ErrorContains(t, err, want, ref)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NotContains(t, string(b), "hunter2", path)
		return err
	}))
}
