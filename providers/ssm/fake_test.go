package ssm

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

var errCrash = errors.New("the process died here")

// fake is a Parameter Store that refuses what AWS refuses, shows a few entries a page,
// and can let the process die at its n-th call, before or after it has taken effect.
type fake struct {
	mu     sync.Mutex
	params map[string]*fakeParameter
	calls  []string
	at     []time.Time // of the writes

	crashAt int // 1 for the first call; 0 for never
	after   bool
	lag     int               // how many reads a new parameter stays invisible
	locked  bool              // nothing can be decrypted
	secret  string            // a parameter that nobody may read; "" for none
	deny    map[string]string // operation to error code
	message string            // of a denial
}

type fakeParameter struct {
	kind    types.ParameterType
	value   string
	version int64
	tags    map[string]string
	hidden  int
}

func newFake() *fake { return &fake{params: map[string]*fakeParameter{}} }

func refuse(code, text string) error { return &smithy.GenericAPIError{Code: code, Message: text} }

// call runs one operation under the lock, dying where it is told to.
func call[T any](f *fake, op string, effect func() (T, error)) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op)
	if !strings.HasPrefix(op, "Get") && !strings.HasPrefix(op, "List") {
		f.at = append(f.at, time.Now())
	}
	var zero T
	dying := f.crashAt == len(f.calls)
	if dying && !f.after {
		return zero, errCrash
	}
	if code := f.deny[op]; code != "" {
		return zero, refuse(code, f.message)
	}
	out, err := effect()
	if dying {
		return zero, errCrash
	}
	return out, err
}

func (f *fake) show(name string, decrypt bool) (types.Parameter, error) {
	p := f.params[name]
	value := p.value
	if p.kind == types.ParameterTypeSecureString {
		if decrypt && f.locked {
			return types.Parameter{}, refuse("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, or you are not allowed to access.")
		}
		if !decrypt {
			value = "AQICAHh" + strconv.Itoa(len(value))
		}
	}
	return types.Parameter{
		Name: &name, ARN: aws.String(ARN("aws", "us-east-1", "123456789012", name)), Type: p.kind, Value: &value,
		Version: p.version, LastModifiedDate: aws.Time(time.Unix(1_700_000_000+p.version, 0)),
	}, nil
}

func (f *fake) GetParametersByPath(_ context.Context, in *sdk.GetParametersByPathInput, _ ...func(*sdk.Options)) (*sdk.GetParametersByPathOutput, error) {
	return call(f, "GetParametersByPath", func() (*sdk.GetParametersByPathOutput, error) {
		if n := aws.ToInt32(in.MaxResults); n < 1 || n > 10 {
			return nil, refuse("ValidationException", "maxResults")
		}
		path := strings.TrimSuffix(*in.Path, "/") + "/"
		var names []string
		for name := range f.params {
			if rest, below := strings.CutPrefix(name, path); below && !strings.Contains(rest, "/") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		at, _ := strconv.Atoi(aws.ToString(in.NextToken))
		end := min(at+2, len(names))
		out := &sdk.GetParametersByPathOutput{}
		for _, name := range names[at:end] {
			p, err := f.show(name, *in.WithDecryption)
			if err != nil {
				return nil, err
			}
			out.Parameters = append(out.Parameters, p)
		}
		if end < len(names) {
			out.NextToken = aws.String(strconv.Itoa(end))
		}
		return out, nil
	})
}

func (f *fake) GetParameters(_ context.Context, in *sdk.GetParametersInput, _ ...func(*sdk.Options)) (*sdk.GetParametersOutput, error) {
	return call(f, "GetParameters", func() (*sdk.GetParametersOutput, error) {
		if len(in.Names) < 1 || len(in.Names) > 10 {
			return nil, refuse("ValidationException", "names")
		}
		out := &sdk.GetParametersOutput{}
		for _, name := range in.Names {
			base, selector, selected := strings.Cut(name, ":")
			if base == f.secret {
				return nil, refuse("AccessDeniedException", "not this one")
			}
			known := f.params[base]
			if known != nil && known.hidden > 0 {
				known.hidden--
				known = nil
			}
			if known == nil {
				out.InvalidParameters = append(out.InvalidParameters, name)
				continue
			}
			p, err := f.show(base, *in.WithDecryption)
			if err != nil {
				return nil, err
			}
			if selected {
				p.Selector = aws.String(":" + selector)
			}
			out.Parameters = append(out.Parameters, p)
		}
		return out, nil
	})
}

func (f *fake) ListTagsForResource(_ context.Context, in *sdk.ListTagsForResourceInput, _ ...func(*sdk.Options)) (*sdk.ListTagsForResourceOutput, error) {
	return call(f, "ListTagsForResource", func() (*sdk.ListTagsForResourceOutput, error) {
		p := f.params[*in.ResourceId]
		if p == nil || in.ResourceType != types.ResourceTypeForTaggingParameter {
			return nil, refuse("InvalidResourceId", "")
		}
		return &sdk.ListTagsForResourceOutput{TagList: toTags(p.tags)}, nil
	})
}

func (f *fake) PutParameter(_ context.Context, in *sdk.PutParameterInput, _ ...func(*sdk.Options)) (*sdk.PutParameterOutput, error) {
	return call(f, "PutParameter", func() (*sdk.PutParameterOutput, error) {
		overwrite := aws.ToBool(in.Overwrite)
		p := f.params[*in.Name]
		switch {
		case *in.Value == "", len(*in.Value) > 4096:
			return nil, refuse("ValidationException", "value "+*in.Value)
		case overwrite && len(in.Tags) > 0:
			return nil, refuse("ValidationException", "Invalid request: tags and overwrite can't be used together.")
		case p != nil && !overwrite:
			return nil, refuse("ParameterAlreadyExists", "The parameter already exists.")
		case p != nil && p.kind != in.Type:
			return nil, refuse("HierarchyTypeMismatch", "types differ")
		case p == nil:
			p = &fakeParameter{kind: in.Type, tags: fromTags(in.Tags), hidden: f.lag}
			f.params[*in.Name] = p
		}
		p.value = *in.Value
		p.version++
		return &sdk.PutParameterOutput{Version: p.version, Tier: in.Tier}, nil
	})
}

func (f *fake) AddTagsToResource(_ context.Context, in *sdk.AddTagsToResourceInput, _ ...func(*sdk.Options)) (*sdk.AddTagsToResourceOutput, error) {
	return call(f, "AddTagsToResource", func() (*sdk.AddTagsToResourceOutput, error) {
		p := f.params[*in.ResourceId]
		if p == nil {
			return nil, refuse("InvalidResourceId", "")
		}
		maps.Copy(p.tags, fromTags(in.Tags))
		return &sdk.AddTagsToResourceOutput{}, nil
	})
}

func (f *fake) DeleteParameters(_ context.Context, in *sdk.DeleteParametersInput, _ ...func(*sdk.Options)) (*sdk.DeleteParametersOutput, error) {
	return call(f, "DeleteParameters", func() (*sdk.DeleteParametersOutput, error) {
		out := &sdk.DeleteParametersOutput{}
		for _, name := range in.Names {
			if f.params[name] == nil {
				out.InvalidParameters = append(out.InvalidParameters, name)
				continue
			}
			delete(f.params, name)
			out.DeletedParameters = append(out.DeletedParameters, name)
		}
		return out, nil
	})
}
