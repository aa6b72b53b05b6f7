package route53

import (
	"context"
	"encoding/xml"
	"maps"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const maxTags = 50

type tag struct {
	Key   string
	Value string
}

func (s *Service) listTags(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	var out struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListTagsForResourceResponse"`
		Set     struct {
			ResourceType string
			ResourceID   string `xml:"ResourceId"`
			Tags         struct{ Tag []tag }
		} `xml:"ResourceTagSet"`
	}
	if err := checkKind(r.Path["ResourceType"]); err != nil {
		return answer, err
	}
	out.Set.ResourceType, out.Set.ResourceID = r.Path["ResourceType"], r.Path["ResourceId"]
	r.Path["Id"] = r.Path["ResourceId"]
	err = s.view(r, func(z *zone) error {
		for _, key := range slices.Sorted(maps.Keys(z.Tags)) {
			out.Set.Tags.Tag = append(out.Set.Tags.Tag, tag{key, z.Tags[key]})
		}
		return nil
	})
	return wire.RESTAnswer{Body: out}, err
}

// checkKind refuses what the sandbox has no resources of.
func checkKind(kind string) error {
	var c wire.Checks
	c.Enum("resourceType", kind, "healthcheck", "hostedzone")
	if err := c.Err("InvalidInput"); err != nil {
		return err
	}
	if kind == "healthcheck" {
		return notFound("NoSuchHealthCheck", "The sandbox has no health checks.")
	}
	return nil
}

func (s *Service) changeTags(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	var in struct {
		Add    []tag    `xml:"AddTags>Tag"`
		Remove []string `xml:"RemoveTagKeys>Key"`
	}
	if err := wire.ReadXML(r.Body, &in); err != nil {
		return answer, err
	}
	if err := checkKind(r.Path["ResourceType"]); err != nil {
		return answer, err
	}
	var c wire.Checks
	for i, t := range in.Add {
		at := "addTags." + strconv.Itoa(i+1) + ".member."
		c.Present(at+"key", t.Key != "")
		c.Length(at+"key", t.Key, 0, 128)
		c.Length(at+"value", t.Value, 0, 256)
	}
	if err := c.Err("InvalidInput"); err != nil {
		return answer, err
	}
	if len(in.Add)+len(in.Remove) == 0 {
		return answer, wire.Errorf("InvalidInput", "The request must add or remove a tag.")
	}
	id := r.Path["ResourceId"]
	err = s.doc.Update(func(all *zones) error {
		z := all.ByID[id]
		if z == nil {
			return noZone(id)
		}
		for _, key := range in.Remove {
			delete(z.Tags, key)
		}
		for _, t := range in.Add {
			z.Tags[t.Key] = t.Value
		}
		if len(z.Tags) > maxTags {
			return wire.Errorf("InvalidInput", "A hosted zone can have at most %d tags.", maxTags)
		}
		return nil
	})
	out := struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeTagsForResourceResponse"`
	}{}
	return wire.RESTAnswer{Body: out}, err
}
