package manifest

import (
	"slices"
	"strings"
)

func (c *checker) network() {
	n := c.m.Network
	if n == nil {
		return
	}
	if e := n.Egress; e != nil {
		c.distinct("network.egress.subnets", e.Subnets)
		c.distinct("network.egress.security_groups", e.SecurityGroups)
		if len(e.SecurityGroups) > 0 && len(e.Subnets) == 0 && len(c.root.find("network.egress.subnets").itemsOf()) == 0 {
			c.fail(c.at("network.egress.security_groups"), "network.egress.security_groups", "add subnets: [subnet-0123456789abcdef0]",
				"belong to a VPC, and no subnets say which")
		}
	}
	if n.Ingress != nil && (n.Public == nil || *n.Public) {
		c.fail(c.at("network.ingress"), "network.ingress", "add public: false, or remove ingress",
			"is for a service that the Internet cannot reach")
	}
}

// distinct refuses ids that are listed twice.
func (c *checker) distinct(path string, ids []string) {
	if len(ids) != len(c.root.find(path).itemsOf()) {
		return // some could not be read
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			c.fail(c.at(path+index(i)), path+index(i), "keep one of the two", "is listed twice")
		}
	}
}

func (c *checker) domains() {
	items := c.root.get("domains").itemsOf()
	if len(items) != len(c.m.Domains) {
		return // some could not be read
	}
	for i, d := range c.m.Domains {
		p := "domains" + index(i)
		for _, before := range c.m.Domains[:i] {
			if strings.EqualFold(before.Name, d.Name) {
				c.fail(items[i].at, p, "keep one of the two", "is listed twice")
			} else if www := before.WWW != nil && *before.WWW; www && strings.EqualFold("www."+before.Name, d.Name) {
				c.fail(items[i].at, p, "remove it, or www: true", "is what www: true of %s stands for", before.Name)
			}
		}
		if d.WWW != nil && *d.WWW && strings.HasPrefix(d.Name, "*.") {
			c.fail(c.at(p+".www"), p+".www", "list the name without *. as well, with www: true", "does not go with a wildcard")
		}
		if d.Name != "" && !strings.Contains(strings.TrimPrefix(d.Name, "*."), ".") {
			c.fail(items[i].at, p, "write the whole name, such as app.example.com", "is a top-level domain")
		}
	}
}

func (c *checker) webACL() {
	if c.m.AppRunner == nil || c.m.Region == "" {
		return
	}
	for key, arn := range map[string]string{"web_acl": c.m.AppRunner.WebACL, "kms_key": c.m.AppRunner.KMSKey} {
		if parts := strings.Split(arn, ":"); len(parts) > 4 && parts[3] != c.m.Region {
			p := "apprunner." + key
			c.fail(c.at(p), p, "use one of "+c.m.Region, "is in %s, and the service is in %s", parts[3], c.m.Region)
		}
	}
}
