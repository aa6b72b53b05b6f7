package foreign

import (
	"path"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// imageBuild is a build of a job: a use of docker/build-push-action, or one docker build of
// a script.
type imageBuild struct {
	st     *step    // the one that builds, with its environment
	words  []string // of a docker build, behind the command
	before string   // what its script does before
	names  []text   // of the image
}

var (
	dockerBuild = pattern.Lazy(`\b(docker|podman|buildah)( buildx| image)? (build|bud)\b`)
	dockerTag   = pattern.Lazy(`\b(docker|podman|buildah)( image)? tag\b`)
)

// builds are those of a job, each with the names that its image gets in it.
func (st *step) builds() []*imageBuild {
	var all []*imageBuild
	var again [][2]text // docker tag: a name, and another for the same image
	for _, body := range st.job.get("steps").items {
		here := &step{workflow: st.workflow, job: st.job, body: body, path: body.path, region: st.region}
		if uses(body, "docker/build-push-action") {
			all = append(all, &imageBuild{st: here, names: tagList(here.resolved(body.get("with", "tags")))})
			continue
		}
		run := body.get("run")
		script, _ := run.static()
		script = strings.ReplaceAll(strings.ReplaceAll(script, "\r\n", "\n"), "\\\n", " ")
		commands := func(of func(words []string, before string), starts [][]int) {
			for _, m := range starts {
				before := script[:m[0]]
				if strings.HasPrefix(strings.TrimSpace(before[strings.LastIndexByte(before, '\n')+1:]), "#") {
					continue
				}
				line, _, _ := strings.Cut(script[m[1]:], "\n")
				of(shellWords(line), before)
			}
		}
		commands(func(words []string, before string) {
			b := &imageBuild{st: here, words: words, before: before}
			for i, w := range words {
				flag, name, joined := strings.Cut(w, "=")
				if flag != "-t" && flag != "--tag" {
					continue
				}
				if !joined && i+1 < len(words) {
					name = words[i+1]
				}
				b.names = append(b.names, here.shellText(name, run))
			}
			all = append(all, b)
		}, dockerBuild().FindAllStringIndex(script, -1))
		commands(func(words []string, _ string) {
			if len(words) == 2 {
				again = append(again, [2]text{here.shellText(words[0], run), here.shellText(words[1], run)})
			}
		}, dockerTag().FindAllStringIndex(script, -1))
	}
	for _, pair := range again {
		for _, b := range all {
			if slices.ContainsFunc(b.names, func(n text) bool { return imageName(n) == imageName(pair[0]) }) {
				b.names = append(b.names, pair[1])
			}
		}
	}
	return all
}

// tagList is the action's list of names, on lines or with commas between.
func tagList(n *node) []text {
	if n == nil || n.kind != scalar && n.kind != unknown {
		return nil
	}
	split := &node{}
	for _, p := range n.text {
		p.literal = strings.ReplaceAll(p.literal, ",", "\n")
		split.text = append(split.text, p)
	}
	return lines(split)
}

// imageName is a name to compare, with its tag. What is a reference is the same in another
// place if it is written the same.
func imageName(t text) string {
	name := strings.TrimSpace(t.with(func(r *reference) string {
		return "\x00" + strings.NewReplacer(":", "_", "/", "_", "@", "_").Replace(r.as) + "\x00"
	}))
	if repository := state.Untagged(name); name == repository {
		return name + ":latest"
	}
	return name
}

// comparableName reports whether a name says which image it is. The output of a step does not.
func comparableName(t text) bool {
	return !slices.ContainsFunc(t, func(p piece) bool {
		return p.ref != nil && (p.ref.loose || strings.HasPrefix(p.ref.as, "steps."))
	})
}

// which chooses the build whose image is deployed: by its whole name, by the step whose
// output names it, or by its repository. nil if that leaves several.
func which(all []*imageBuild, deployed *node) (chosen *imageBuild, matched bool) {
	if deployed != nil {
		want := imageName(deployed.text)
		for _, is := range []func(*imageBuild) bool{
			func(b *imageBuild) bool {
				return slices.ContainsFunc(b.names, func(n text) bool { return imageName(n) == want })
			},
			func(b *imageBuild) bool {
				id, _ := b.st.body.get("id").static()
				return id != "" && slices.ContainsFunc(deployed.text, func(p piece) bool {
					return p.ref != nil && strings.HasPrefix(p.ref.as, "steps."+id+".")
				})
			},
			func(b *imageBuild) bool {
				return slices.ContainsFunc(b.names, func(n text) bool { return state.Untagged(imageName(n)) == state.Untagged(want) })
			},
		} {
			var hits []*imageBuild
			for _, b := range all {
				if is(b) {
					hits = append(hits, b)
				}
			}
			if len(hits) == 1 {
				return hits[0], true
			}
			if len(hits) > 1 {
				all = hits
			}
		}
	}
	if len(all) == 1 {
		return all[0], false
	}
	return nil, false
}

// directory is where the script of a step runs, from the root of the workspace, and the
// setting that says so. What it is may be known only to the workflow.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsworking-directory
func (st *step) directory() (dir string, setting *node, known bool) {
	for _, n := range []*node{st.body.get("working-directory"), st.job.get("defaults", "run", "working-directory"), st.root.get("defaults", "run", "working-directory")} {
		if n == nil {
			continue
		}
		resolved := st.resolved(n)
		t := resolved.text
		if len(t) > 0 && t[0].ref != nil && t[0].ref.as == "github.workspace" {
			t = append(literal("."), t[1:]...)
		}
		dir, known := t.static()
		dir = strings.TrimSpace(dir)
		return path.Clean(dir), n, known && len(t) > 0 && !path.IsAbs(dir) && !strings.Contains(dir, "$")
	}
	return ".", nil, true
}
