package ssm_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ssm"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

const arn = "arn:aws:ssm:us-east-1:123456789012:parameter"

// world is a Parameter Store behind the real SDK, at a time that stands still.
type world struct {
	testing.TB
	ctx     context.Context
	dir     string
	now     time.Time
	service *ssm.Service
	client  *sdk.Client
}

func newWorld(t testing.TB, adjust ...func(*ssm.Options)) *world {
	w := &world{TB: t, ctx: context.Background(), dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.open(adjust...)
	return w
}

// open starts the service on what the directory holds.
func (w *world) open(adjust ...func(*ssm.Options)) {
	w.Helper()
	st, err := store.Open(w.dir)
	require.NoError(w, err)
	o := ssm.Options{Store: st, Account: wiretest.Account, Region: wiretest.Region, Now: func() time.Time { return w.now }}
	for _, f := range adjust {
		f(&o)
	}
	w.service, err = ssm.New(o)
	require.NoError(w, err)
	w.client = sdk.NewFromConfig(wiretest.Config(w, func(m *wire.Mux) { m.Add(w.service.API()) }))
}

// put writes a parameter, by default a new SecureString, and returns its version.
func (w *world) put(name, value string, adjust ...func(*sdk.PutParameterInput)) int64 {
	w.Helper()
	in := &sdk.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeSecureString}
	for _, f := range adjust {
		f(in)
	}
	out, err := w.client.PutParameter(w.ctx, in)
	require.NoError(w, err)
	return out.Version
}

func plain(in *sdk.PutParameterInput)     { in.Type = types.ParameterTypeString }
func overwrite(in *sdk.PutParameterInput) { in.Overwrite = aws.Bool(true) }

func (w *world) get(name string, decrypt bool) (*types.Parameter, error) {
	out, err := w.client.GetParameter(w.ctx, &sdk.GetParameterInput{Name: &name, WithDecryption: &decrypt})
	if err != nil {
		return nil, err
	}
	return out.Parameter, nil
}

func TestParameter_hasVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, int64(1), w.put("/web/key", "one"))
	w.now = w.now.Add(time.Hour)
	require.Equal(t, int64(2), w.put("/web/key", "two", overwrite))
	w.open()
	got, err := w.get("/web/key", true)
	require.NoError(t, err)
	require.Equal(t, &types.Parameter{
		Name: aws.String("/web/key"), ARN: aws.String(arn + "/web/key"), Type: types.ParameterTypeSecureString,
		Value: aws.String("two"), Version: 2, LastModifiedDate: &w.now, DataType: aws.String("text"),
	}, got)
	for ref, want := range map[string]string{"/web/key:1": "one", "/web/key:2": "two", arn + "/web/key": "two", arn + "/web/key:1": "one"} {
		got, err := w.get(ref, true)
		require.NoError(t, err)
		require.Equal(t, want, *got.Value, ref)
		if strings.HasSuffix(ref, ":1") {
			require.Equal(t, ":1", *got.Selector)
		}
	}
	for _, ref := range []string{"/web/key:3", "/web/key:label"} {
		_, err = w.get(ref, true)
		wiretest.Refused(t, err, "ParameterVersionNotFound", "Verify the version and try again.")
	}
	sealed, err := w.get("/web/key", false)
	require.NoError(t, err)
	require.NotContains(t, *sealed.Value, "two")
	require.Greater(t, len(*sealed.Value), 20, "it looks like a ciphertext")
	value, err := w.service.Value(arn + "/web/key")
	require.NoError(t, err)
	require.Equal(t, "two", value)
	_, err = w.service.Value("/web/none")
	require.EqualError(t, err, "parameter /web/none does not exist")
}

func TestParameter_keepsAHundredVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 101 {
		w.put("/web/key", fmt.Sprint(n), overwrite)
	}
	_, err := w.get("/web/key:1", true)
	wiretest.Refused(t, err, "ParameterVersionNotFound", "")
	got, err := w.get("/web/key:2", true)
	require.NoError(t, err)
	require.Equal(t, "1", *got.Value)
}

func TestValues_areNowherePlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/web/key", "hunter2hunter2")
	w.put("/web/plain", "hunter2hunter2", plain)
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NotContains(t, string(b), "hunter2", path)
		return err
	}))
	_, err := w.client.PutParameter(w.ctx, &sdk.PutParameterInput{
		Name: aws.String("/web/x"), Value: aws.String("hunter2hunter2"), Type: "String", AllowedPattern: aws.String("[0-9]+"),
	})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestPut_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/web/key", "x")
	w.put("/web/big", strings.Repeat("x", 4097), func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierAdvanced })
	const invalid, rule = "ValidationException", `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`
	for name, tc := range map[string]struct {
		change     func(*sdk.PutParameterInput)
		code, text string
	}{
		"a name that is taken": {func(in *sdk.PutParameterInput) { in.Name = aws.String("/web/key") }, "ParameterAlreadyExists",
			"The parameter already exists. To overwrite this value, set the overwrite option in the request to true."},
		"the prefix aws":  {func(in *sdk.PutParameterInput) { in.Name = aws.String("/AWS/key") }, invalid, rule},
		"the prefix ssm":  {func(in *sdk.PutParameterInput) { in.Name = aws.String("ssm-key") }, invalid, rule},
		"a space":         {func(in *sdk.PutParameterInput) { in.Name = aws.String("/a b") }, invalid, rule},
		"an empty level":  {func(in *sdk.PutParameterInput) { in.Name = aws.String("/a//b") }, invalid, rule},
		"a path unrooted": {func(in *sdk.PutParameterInput) { in.Name = aws.String("a/b") }, invalid, "Parameter name must be a fully qualified name."},
		"sixteen levels":  {func(in *sdk.PutParameterInput) { in.Name = aws.String(strings.Repeat("/a", 16)) }, "HierarchyLevelLimitExceededException", "15"},
		"a name too long": {func(in *sdk.PutParameterInput) { in.Name = aws.String("/" + strings.Repeat("a", 1011)) }, invalid, "1011"},
		"no type":         {func(in *sdk.PutParameterInput) { in.Type = "" }, invalid, "A parameter type is required when you create a parameter."},
		"another type":    {func(in *sdk.PutParameterInput) { in.Type = "Text" }, invalid, "Value 'Text' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [SecureString, StringList, String]"},
		"an empty value":  {func(in *sdk.PutParameterInput) { in.Value = aws.String("") }, invalid, "Value at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"4097 bytes":      {func(in *sdk.PutParameterInput) { in.Value = aws.String(strings.Repeat("x", 4097)) }, invalid, "Standard tier parameters support a maximum parameter value of 4096 characters."},
		"8193 bytes": {func(in *sdk.PutParameterInput) {
			in.Value = aws.String(strings.Repeat("x", 8193))
			in.Tier = "Advanced"
		}, invalid, "Advanced tier parameters support a maximum parameter value of 8192 characters."},
		"another parameter": {func(in *sdk.PutParameterInput) { in.Value = aws.String("a {{ssm:key}}") }, invalid, "can't nest another parameter"},
		"tags to overwrite": {func(in *sdk.PutParameterInput) { overwrite(in); in.Tags = tags("a", "b") }, invalid, "tags and overwrite can't be used together"},
		"a reserved tag":    {func(in *sdk.PutParameterInput) { in.Tags = tags("aws:x", "b") }, invalid, "aws:"},
		"a tag's letters":   {func(in *sdk.PutParameterInput) { in.Tags = tags("a*", "b") }, invalid, "tags.1.member.key"},
		"an empty item":     {func(in *sdk.PutParameterInput) { in.Type = "StringList"; in.Value = aws.String("a,,b") }, invalid, "empty items"},
		"no expression":     {func(in *sdk.PutParameterInput) { in.AllowedPattern = aws.String("(") }, "InvalidAllowedPatternException", ""},
		"another pattern":   {func(in *sdk.PutParameterInput) { in.AllowedPattern = aws.String("[0-9]+") }, "ParameterPatternMismatchException", "[0-9]+"},
		"to change the type": {func(in *sdk.PutParameterInput) { overwrite(in); in.Name = aws.String("/web/key"); in.Type = "String" },
			"HierarchyTypeMismatchException", "/web/key"},
		"to go back a tier": {func(in *sdk.PutParameterInput) { overwrite(in); in.Name = aws.String("/web/big"); in.Tier = "Standard" }, invalid, "You can't downgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sdk.PutParameterInput{Name: aws.String("/web/new"), Value: aws.String("x"), Type: types.ParameterTypeSecureString}
			tc.change(in)
			_, err := w.client.PutParameter(w.ctx, in)
			wiretest.Refused(t, err, tc.code, tc.text)
		})
	}
	_, err := w.get("/web/new", true)
	wiretest.Refused(t, err, "ParameterNotFound", "")
	got, err := w.get("/web/key", true)
	require.NoError(t, err)
	require.Equal(t, int64(1), got.Version)
}

func TestGetParameters_reportsMissesSingly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/a", "1")
	w.put("/b", "2")
	out, err := w.client.GetParameters(w.ctx, &sdk.GetParametersInput{Names: []string{"/b", "/none", "/a", "/a:9"}, WithDecryption: aws.Bool(true)})
	require.NoError(t, err)
	require.Equal(t, []string{"/none", "/a:9"}, out.InvalidParameters)
	require.Len(t, out.Parameters, 2)
	require.Equal(t, "2", *out.Parameters[0].Value)
	_, err = w.client.GetParameters(w.ctx, &sdk.GetParametersInput{Names: strings.Split("/1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11", " ")})
	wiretest.Refused(t, err, "ValidationException", "Member must have length less than or equal to 10")
	_, err = w.client.GetParameters(w.ctx, &sdk.GetParametersInput{Names: []string{"/a", "/a"}})
	wiretest.Refused(t, err, "ValidationException", "duplicate")
}

func TestDelete_reportsMissesSingly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"/a", "/b", "/c"} {
		w.put(name, "x")
	}
	out, err := w.client.DeleteParameters(w.ctx, &sdk.DeleteParametersInput{Names: []string{"/a", "/none", arn + "/b"}})
	require.NoError(t, err)
	require.Equal(t, []string{"/a", arn + "/b"}, out.DeletedParameters)
	require.Equal(t, []string{"/none"}, out.InvalidParameters)
	_, err = w.client.DeleteParameter(w.ctx, &sdk.DeleteParameterInput{Name: aws.String("/c")})
	require.NoError(t, err)
	_, err = w.client.DeleteParameter(w.ctx, &sdk.DeleteParameterInput{Name: aws.String("/c")})
	wiretest.Refused(t, err, "ParameterNotFound", "")
	require.Equal(t, int64(1), w.put("/c", "again"), "versions begin afresh")
}

func tags(keysAndValues ...string) (list []types.Tag) {
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, types.Tag{Key: &keysAndValues[i], Value: &keysAndValues[i+1]})
	}
	return list
}

// Some errors have no message in AWS's model, and lose their text in the SDK.
func TestTags_ofAParameter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/web/key", "x", func(in *sdk.PutParameterInput) { in.Tags = tags("b", "2", "a", "1") })
	id := aws.String("/web/key")
	_, err := w.client.AddTagsToResource(w.ctx, &sdk.AddTagsToResourceInput{ResourceType: "Parameter", ResourceId: id, Tags: tags("c", "3", "a", "one")})
	require.NoError(t, err)
	_, err = w.client.RemoveTagsFromResource(w.ctx, &sdk.RemoveTagsFromResourceInput{ResourceType: "Parameter", ResourceId: id, TagKeys: []string{"b", "none"}})
	require.NoError(t, err)
	out, err := w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceType: "Parameter", ResourceId: id})
	require.NoError(t, err)
	require.Equal(t, tags("a", "one", "c", "3"), out.TagList)

	var many []string
	for n := range 49 {
		many = append(many, fmt.Sprint("key", n), "")
	}
	_, err = w.client.AddTagsToResource(w.ctx, &sdk.AddTagsToResourceInput{ResourceType: "Parameter", ResourceId: id, Tags: tags(many...)})
	wiretest.Refused(t, err, "TooManyTagsError", "")
	_, err = w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceType: "Parameter", ResourceId: aws.String("/none")})
	wiretest.Refused(t, err, "InvalidResourceId", "")
	_, err = w.client.AddTagsToResource(w.ctx, &sdk.AddTagsToResourceInput{ResourceType: "Document", ResourceId: id, Tags: tags("a", "b")})
	wiretest.Refused(t, err, "InvalidResourceType", "")
}

func TestLimits_areAWSsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *ssm.Options) { o.Limited = true })
	for n := range 3 {
		w.put(fmt.Sprint("/key", n), "x")
	}
	_, err := w.client.PutParameter(w.ctx, &sdk.PutParameterInput{Name: aws.String("/key3"), Value: aws.String("x"), Type: "String"})
	wiretest.Refused(t, err, "ThrottlingException", "Rate exceeded")
	_, err = w.get("/key0", true)
	require.NoError(t, err, "reads have their own rate")
}
