package apprunner

import "strings"

// host finds the service that answers for a host name in lower case without a port: its
// own name below localhost if it is public, the domain name of its VPC ingress
// connection, or a custom domain that is active.
func (st *state) host(name string) *record {
	own, local := strings.CutSuffix(name, ".localhost")
	for _, r := range st.Services {
		switch {
		case r.Status == deleted:
		case local && r.public() && label(st, r) == own, local && st.reaches(r, name), r.answers(name):
			return r
		}
	}
	return nil
}

// reaches tells whether a VPC gets to the service by that name.
func (st *state) reaches(r *record, name string) bool {
	for _, i := range st.ingresses(r.ARN) {
		if i.Status == ingressAvailable && i.Host == name {
			return true
		}
	}
	return false
}

// answers tells whether a custom domain of the service has the name.
func (r *record) answers(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, d := range r.Domains {
		for _, host := range d.hosts() {
			wild, wildcard := strings.CutPrefix(strings.ToLower(host), "*.")
			if d.Status == domainActive && (strings.EqualFold(host, name) || wildcard && wild == parent) {
				return true
			}
		}
	}
	return false
}
