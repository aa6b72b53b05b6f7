package foreign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// workflow is a GitHub workflow on its way.
type workflow struct {
	*source
	root *node
}

// step is a step of a job, with the environment that it has.
type step struct {
	*workflow
	job, body *node
	path      string
	region    text // of its service, for the addresses of images
}

const deployAction = "awslabs/amazon-app-runner-deploy"

// readWorkflow reads a workflow that uses the action. Its inputs are the settings; the
// image is what the job builds before.
// https://github.com/awslabs/amazon-app-runner-deploy
func readWorkflow(f File, root *node) (*Result, error) {
	w := &workflow{source: newSource("GitHub Actions", "the workflow", []File{f}), root: root}
	var services []*service
	for _, job := range root.get("jobs").fields {
		steps := job.value.get("steps")
		if steps == nil || steps.kind != list {
			continue
		}
		for _, body := range steps.items {
			if uses(body, deployAction) {
				services = append(services, w.deployment(&step{workflow: w, job: job.value, body: body, path: body.path}))
			}
		}
	}
	if len(services) == 0 {
		at := root.get("jobs").at
		return nil, &manifest.Error{File: f.Name, Line: at.Line, Column: at.Column, Path: "jobs", Msg: "no step uses " + deployAction,
			Fix: "name the workflow that deploys; one that calls aws apprunner has the settings in the JSON that it sends: name that"}
	}
	root.leaves(func(l *node) { w.note(Remain, l.at, l.path, "is of the workflow alone") })
	return w.finish(services)
}

func uses(body *node, action string) bool {
	known, _ := body.get("uses").static()
	name, _, _ := strings.Cut(known, "@")
	return strings.EqualFold(name, action)
}

// deployment reads one use of the action.
func (w *workflow) deployment(st *step) *service {
	s := w.service()
	inputs := st.body.get("with")
	if inputs == nil || inputs.kind != mapping {
		inputs = &node{kind: mapping, at: st.body.at, path: st.path + ".with"}
	}
	with := st.resolved(inputs)
	if region := with.get("region"); region != nil && (region.kind == scalar || region.kind == unknown) {
		s.region = region.text
		s.set(region, "region")
	} else {
		s.region = literal("us-east-1")
		s.put(st.body, "us-east-1", "region")
		s.missing(Other, st.body, "with.region", "is not given: us-east-1 is the action's default")
	}
	st.region = s.region
	with = st.resolved(inputs) // once more: addresses of images name the Region
	with.get("region").mark()
	s.name(with.get("service"), &resource{name: "service", body: inputs})
	s.actionImage(st, with.get("image"))
	s.set(with.get("port"), "port")
	s.size(st, with)
	s.set(with.get("start-command"), "command")
	s.role(with.get("access-role-arn"), "access")
	s.role(with.get("instance-role-arn"), "instance")
	s.scaling(with.get("auto-scaling-config-arn"))
	s.actionTags(with.get("tags"))
	s.copied(st, with.get("copy-env-vars"), (*service).setVariable)
	s.copied(st, with.get("copy-secret-env-vars"), (*service).setReference)
	for _, key := range []string{"repo", "branch", "source-directory", "source-connection-arn", "runtime", "build-command"} {
		s.look(with.get(key), "is about source code, which App Runner builds: apron deploys images, so write a Dockerfile")
	}
	for _, key := range []string{"wait-for-service-stability", "wait-for-service-stability-seconds"} {
		s.other(with.get(key), "apron follows each rollout to its end; --timeout is its limit")
	}
	s.other(with.get("action"), "apron apply creates the service or updates it")
	s.leftovers(with)
	inputs.mark()
	s.other(st.body.get("uses"), "apron apply does this")
	s.tell(Remain, st.body, "is of the workflow alone")
	return s
}

// size sets the size of instances. The action sends one always.
func (s *service) size(st *step, with *node) {
	cpu, memory := with.get("cpu"), with.get("memory")
	if !s.set(cpu, "cpu") {
		s.put(st.body, "1", "cpu")
		s.missing(Other, st.body, "with.cpu", "is not given: 1 vCPU is the action's default")
	}
	if memory == nil {
		s.put(st.body, "2 GB", "memory")
		s.missing(Other, st.body, "with.memory", "is not given: 2 GB is the action's default")
	} else {
		s.setAs(memory, func(t string) string {
			if len(t) < 3 && strings.Trim(t, "0123456789") == "" {
				return t + " GB"
			}
			return t
		}, "memory")
	}
	if !s.has("port") && with.get("port") == nil {
		s.put(st.body, "80", "port")
		s.missing(Other, st.body, "with.port", "is not given: 80 is the action's default")
	}
}

// actionTags reads tags, which are JSON in a text.
func (s *service) actionTags(n *node) {
	known, ok := n.static()
	if n == nil {
		return
	}
	tags, err := readJSON(File{Name: n.at.File, Data: []byte(known)})
	if !ok || err != nil || tags.kind != mapping {
		s.look(n, "must be a JSON object to become tags")
		return
	}
	place(tags, n)
	s.tags(tags)
	s.leftovers(tags)
	n.mark()
}

// place moves a tree to where the text stands that it was read from.
func place(n, to *node) {
	n.at, n.path = to.at, join(to.path, n.path)
	for _, f := range n.fields {
		place(f.value, to)
	}
	for _, item := range n.items {
		place(item, to)
	}
}

// copied reads the names of variables that the action copies from its own environment.
func (s *service) copied(st *step, n *node, set func(*service, string, *node)) {
	if n == nil {
		return
	}
	known, ok := n.static()
	if !ok {
		s.look(n, "which variables it names is known only to %s", s.tool)
		return
	}
	for _, name := range strings.Fields(known) {
		v := st.variable(name)
		if v == nil {
			v = refer(n.at, n.path, &reference{as: "the variable " + name, name: variable(name)})
		}
		set(s, name, v)
	}
	n.mark()
}

// variable is what a step has in its environment: its own, its job's or the workflow's.
func (st *step) variable(name string) *node {
	for _, env := range []*node{st.body.get("env"), st.job.get("env"), st.root.get("env")} {
		if v := env.exact(name); v != nil {
			st.worked(v)
			return st.resolved(v)
		}
	}
	return nil
}

// worked accounts for a variable that something refers to.
func (st *step) worked(v *node) {
	v.leaves(func(l *node) { st.note(Other, l.at, l.path, "is worked out where it is used") })
	v.mark()
}

// actionImage says where the image comes from: what the job builds, or the one it names.
func (s *service) actionImage(st *step, n *node) {
	all := st.builds()
	deployed := n
	if known, ok := n.static(); ok && known == "" {
		deployed = nil
	}
	build, matched := which(all, deployed)
	switch {
	case build != nil:
		s.built(build)
		if n == nil {
			return
		}
		s.repositoryOf(n)
		if deployed != nil && !matched && comparableName(n.text) && len(build.names) > 0 && !slices.ContainsFunc(build.names, func(t text) bool { return !comparableName(t) }) {
			s.look(n, "the job builds one image, by another name: see whether it is this one that image.build is for")
			return
		}
		s.other(n, "is what the job builds: image.build says how, and apron names it")
	case n != nil:
		s.existing(n)
		if len(all) > 0 {
			s.remark(Look, n, "the job builds %d images, and none of them is known to be this one: write image.build if one is", len(all))
		}
	case len(all) > 0:
		s.remark(Look, st.body, "the job builds %d images, and which of them is deployed is not said: write image.build", len(all))
	}
}

// repositoryOf takes the repository's name from an address in ECR.
func (s *service) repositoryOf(n *node) {
	known := n.text.with(func(r *reference) string {
		switch {
		case r.name == "AWS_ACCOUNT_ID":
			return "123456789012"
		case r.name == "AWS_REGION":
			return s.here()
		case r.attr == "registry":
			return "123456789012.dkr.ecr." + s.here() + ".amazonaws.com"
		}
		return "x"
	})
	if m := ecrImage().FindStringSubmatch(known); m != nil && !strings.Contains("/"+m[2]+"/", "/x/") {
		s.put(n, m[2], "image", "repository")
	}
}

var (
	expression = pattern.Lazy(`\$\{\{(.*?)\}\}`)
	dotted     = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_*][A-Za-z0-9_-]*)+$`)
)

// resolved is a value with its ${{ expressions }}, as far as the workflow says what they
// are.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts
func (st *step) resolved(n *node) *node {
	if n == nil {
		return nil
	}
	out := *n
	if n.kind == scalar {
		whole, _ := n.static()
		out.text = st.expanded(whole, n, 0)
		return tidy(&out)
	}
	out.fields, out.items = nil, nil
	for _, f := range n.fields {
		out.fields = append(out.fields, field{f.key, f.at, st.resolved(f.value)})
	}
	for _, item := range n.items {
		out.items = append(out.items, st.resolved(item))
	}
	return &out
}

func (st *step) expanded(whole string, n *node, depth int) text {
	var t text
	end := 0
	for i, m := range expression().FindAllStringSubmatchIndex(whole, -1) {
		t = append(t, piece{literal: whole[end:m[0]]})
		end = m[1]
		e := strings.TrimSpace(whole[m[2]:m[3]])
		if !dotted().MatchString(e) || depth > 10 {
			t = append(t, piece{ref: &reference{as: fmt.Sprintf("expression %d, at %s", i+1, n.at), name: "EXPRESSION", loose: true}})
			continue
		}
		t = append(t, st.context(e, depth)...)
	}
	return append(t, piece{literal: whole[end:]})
}

// context is what an expression stands for that is a name with dots.
func (st *step) context(e string, depth int) text {
	words := strings.Split(e, ".")
	last := words[len(words)-1]
	r := &reference{as: e, name: variable(words[1:]...)}
	switch words[0] {
	case "env":
		for _, env := range []*node{st.body.get("env"), st.job.get("env"), st.root.get("env")} {
			if v := env.exact(last); v != nil {
				st.worked(v)
				known, _ := v.static()
				return st.expanded(known, v, depth+1)
			}
		}
		r.as = "the variable " + last
	case "github":
		if direct := map[string]string{"github.sha": "${git.sha}", "github.ref_name": "${git.branch}"}[e]; direct != "" {
			r.direct = direct
		}
		r.name = "GITHUB_" + r.name
		if last == "token" {
			r.secret = true
		}
	case "secrets":
		r.name, r.secret = variable(last), true
	case "vars":
		r.name = variable(last)
	case "inputs", "matrix":
		r.name = variable(last)
	case "steps":
		if len(words) == 4 && last == "registry" && st.loginStep(words[1]) {
			host := text{{ref: account}, {literal: ".dkr.ecr."}}
			region := st.region
			if region == nil {
				region = text{{ref: where}}
			}
			return append(append(host, region...), piece{literal: ".amazonaws.com"})
		}
		r.name, r.attr = variable(words[1], last), last
	}
	return text{{ref: r}}
}

// loginStep reports whether a step logs in to ECR.
func (st *step) loginStep(id string) bool {
	steps := st.job.get("steps")
	return slices.ContainsFunc(steps.items, func(body *node) bool {
		return body.get("id").is(id) && uses(body, "aws-actions/amazon-ecr-login")
	})
}
