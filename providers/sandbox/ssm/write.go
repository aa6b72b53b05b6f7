package ssm

import (
	"cmp"
	"context"
	"regexp"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

const (
	maxStandard = 4096 // bytes of a value
	maxAdvanced = 8192
	maxLevels   = 15
	maxName     = 1011
	keptVersion = 100
)

var nameRE = pattern.Lazy(`^[a-zA-Z0-9_.\-/]+$`)

var nestsRE = pattern.Lazy(`\{\{[^{}]*\}\}`)

const nameRule = `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("ValidationException", format, args...)
}

// checkNewName refuses what cannot name a parameter.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
func checkNewName(name string) error {
	var c wire.Checks
	c.Present("name", name != "")
	c.Length("name", name, 1, 2048)
	if err := c.Err("ValidationException"); err != nil {
		return err
	}
	first := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case strings.HasPrefix(first, "aws"), strings.HasPrefix(first, "ssm"),
		!nameRE().MatchString(name), strings.Contains(name, "//"), strings.HasSuffix(name, "/"):
		return invalid(nameRule)
	case strings.Contains(name, "/") && name[0] != '/':
		return invalid("Parameter name must be a fully qualified name.")
	case len(name) > maxName:
		return invalid("Parameter name must not be longer than %d characters.", maxName)
	case strings.Count(name, "/") > maxLevels:
		return wire.Errorf("HierarchyLevelLimitExceededException", "Parameter name must not have more than %d levels.", maxLevels)
	}
	return nil
}

type tag struct {
	Key   string
	Value string
}

type putIn struct {
	Name, Description string
	Value             *string
	Type              string
	KeyId             string
	Overwrite         bool
	AllowedPattern    string
	Tags              []tag
	Tier, DataType    string
}

type putOut struct {
	Version int64
	Tier    string
}

func (s *Service) put(_ context.Context, in putIn) (out putOut, err error) {
	if err := s.checkPut(&in); err != nil {
		return out, err
	}
	err = s.doc.Update(func(all *parameters) error {
		p := all.ByName[in.Name]
		switch {
		case p != nil && !in.Overwrite:
			return wire.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		case p == nil && in.Type == "":
			return invalid("A parameter type is required when you create a parameter.")
		case p != nil && in.Type != "" && in.Type != p.Type:
			return wire.Errorf("HierarchyTypeMismatchException", "The parameter %s is of type %s; its type can't be changed to %s.", p.Name, p.Type, in.Type)
		case p != nil && p.Tier == "Advanced" && in.Tier == "Standard":
			return invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier.")
		}
		if p == nil {
			p = &parameter{Name: in.Name, Type: in.Type, Tier: "Standard", DataType: "text", Versions: map[int64]version{}, Tags: map[string]string{}}
			if all.ByName == nil {
				all.ByName = map[string]*parameter{}
			}
			all.ByName[in.Name] = p
		}
		p.Description = cmp.Or(in.Description, p.Description)
		p.AllowedPattern = cmp.Or(in.AllowedPattern, p.AllowedPattern)
		p.DataType = cmp.Or(in.DataType, p.DataType)
		if in.Tier == "Advanced" || len(*in.Value) > maxStandard {
			p.Tier = "Advanced"
		}
		if p.Type == "SecureString" {
			p.KeyID = cmp.Or(in.KeyId, p.KeyID, "alias/aws/ssm")
		}
		p.Version++
		p.Modified = s.now().UTC()
		p.Versions[p.Version] = version{s.box.Seal(p.Name, *in.Value), p.Type, p.Modified}
		delete(p.Versions, p.Version-keptVersion)
		out = putOut{p.Version, p.Tier}
		return setTags(p, in.Tags)
	})
	return out, err
}

// checkPut refuses what no state could make right. It never repeats the value.
func (s *Service) checkPut(in *putIn) error {
	in.Name = s.nameOf(in.Name)
	if err := checkNewName(in.Name); err != nil {
		return err
	}
	var c wire.Checks
	c.Present("value", in.Value != nil)
	if in.Value != nil && *in.Value == "" {
		c.FailSecret("value", "Member must have length greater than or equal to 1")
	}
	c.Enum("type", in.Type, "SecureString", "StringList", "String")
	c.Enum("tier", in.Tier, "Standard", "Advanced", "Intelligent-Tiering")
	c.Length("description", in.Description, 0, 1024)
	c.Length("allowedPattern", in.AllowedPattern, 0, 1024)
	if err := c.Err("ValidationException"); err != nil {
		return err
	}
	switch n := len(*in.Value); {
	case n > maxAdvanced:
		return invalid("Advanced tier parameters support a maximum parameter value of %d characters.", maxAdvanced)
	case n > maxStandard && (in.Tier == "" || in.Tier == "Standard"):
		return invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html", maxStandard)
	case nestsRE().MatchString(*in.Value):
		return invalid("Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case in.Overwrite && len(in.Tags) > 0:
		return invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case in.Type == "StringList" && strings.Contains(","+*in.Value+",", ",,"):
		return invalid("Parameter value, cannot be validated against allowedPattern or contains empty items.")
	}
	if in.AllowedPattern == "" {
		return nil
	}
	re, err := regexp.Compile("^(?:" + in.AllowedPattern + ")$")
	if err != nil {
		return wire.Errorf("InvalidAllowedPatternException", "The allowed pattern is not a regular expression.")
	}
	if !re.MatchString(*in.Value) {
		return wire.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", in.AllowedPattern)
	}
	return nil
}

type nameIn struct{ Name string }

func notFound() *wire.Error { return &wire.Error{Code: "ParameterNotFound"} } // AWS sends no text

func (s *Service) remove(_ context.Context, in nameIn) (struct{}, error) {
	name := s.nameOf(in.Name)
	return struct{}{}, s.doc.Update(func(all *parameters) error {
		if all.ByName[name] == nil {
			return notFound()
		}
		delete(all.ByName, name)
		return nil
	})
}

type namesIn struct{ Names []string }

type removeManyOut struct{ DeletedParameters, InvalidParameters []string }

func (s *Service) removeMany(_ context.Context, in namesIn) (out removeManyOut, err error) {
	if err := checkNames(in.Names); err != nil {
		return out, err
	}
	out = removeManyOut{[]string{}, []string{}}
	names := make([]string, len(in.Names))
	for i, name := range in.Names {
		names[i] = s.nameOf(name)
	}
	err = s.doc.Update(func(all *parameters) error {
		for i, name := range names {
			if all.ByName[name] == nil {
				out.InvalidParameters = append(out.InvalidParameters, in.Names[i])
				continue
			}
			delete(all.ByName, name)
			out.DeletedParameters = append(out.DeletedParameters, in.Names[i])
		}
		return nil
	})
	return out, err
}

func checkNames(names []string) error {
	var c wire.Checks
	c.Count("names", len(names), 1, 10)
	return c.Err("ValidationException")
}
