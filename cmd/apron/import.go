package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/inverse"
	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// importFlags are those of import.
type importFlags struct {
	out   string
	from  string
	adopt bool
	apply applyFlags
}

func (a *app) importCommand() *cobra.Command {
	var o importFlags
	cmd := &cobra.Command{
		Use:   "import NAME|ARN | import --from FILE",
		Short: "Write the manifest of a live service, or from what another tool has",
		Long: "import reads a live App Runner service and writes the manifest that would have made it.\n" +
			"It shows what makes the service apron's, which is a tag, asks, and does so. Then it plans\n" +
			"from the file, and succeeds only if there is nothing to change. What a manifest cannot\n" +
			"say is named in the file and on stderr. A file that exists is never overwritten.\n\n" +
			"import --from drafts a manifest from what another tool keeps about a service, without\n" +
			"AWS: Terraform, CloudFormation, Copilot's manifest, a GitHub workflow with the App Runner\n" +
			"action, or the AWS CLI's JSON. Its content says which; see apron docs import.",
		Example: "  apron import shop\n  apron import arn:aws:apprunner:us-east-1:123456789012:service/shop/0123456789abcdef0123456789abcdef --out shop.yaml\n  apron import --from main.tf",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.apply.check()
			switch {
			case err != nil:
			case o.from != "" && (len(args) > 0 || o.adopt):
				err = errors.New("--from needs no service, and takes none over")
			case o.from == "" && len(args) == 0:
				err = errors.New("which service: give its name or its ARN, or a file with --from")
			}
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if o.from != "" {
				return a.importFrom(o)
			}
			return a.runImport(cmd.Context(), args[0], o)
		},
	}
	o.apply.register(cmd)
	cmd.Flags().StringVar(&o.out, "out", "", "the manifest to write (default that of -f, or deploy.yaml)")
	cmd.Flags().StringVar(&o.from, "from", "", "file, or directory of a Terraform module, to draft the manifest from, without AWS")
	cmd.Flags().BoolVar(&o.adopt, "adopt", false, "import a service that apron deploys already: its manifest is lost")
	return cmd
}

// newManifest is the file that is to be written, and does not exist yet.
func (a *app) newManifest(out string) (string, error) {
	file := out
	if file == "" {
		var err error
		if file, err = a.oneManifest(); err != nil {
			return "", err
		}
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return "", &manifest.Error{File: filepath.ToSlash(file), Msg: "exists already, and is not overwritten", Fix: "choose another name with --out"}
	}
	return file, nil
}

func (a *app) runImport(ctx context.Context, service string, o importFlags) error {
	file, err := a.newManifest(o.out)
	if err != nil {
		return err
	}
	s, arn, err := a.search(ctx, service, file)
	if err != nil {
		return err
	}
	live, left, err := s.whole(ctx, arn, o)
	if err != nil {
		return err
	}
	d := &drafting{a: a, file: file, live: live, service: serviceAddress(s.specs[0]), denied: left}
	if d.o, err = s.inverseOptions(file); err != nil {
		return err
	}
	if err := d.converge(ctx, o); err != nil {
		return err
	}
	return d.finish(ctx, o)
}

// search finds the service. The session that it returns has no manifest.
func (a *app) search(ctx context.Context, service, file string) (*session, string, error) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, "", err
	}
	spec := state.Spec{Service: service, File: file, Dir: dir}
	if strings.HasPrefix(service, "arn:") {
		named, err := serviceARN(service)
		if err != nil {
			return nil, "", &usageError{err: err, command: "apron import"}
		}
		if a.region != "" && a.region != named.Region {
			return nil, "", &usageError{err: fmt.Errorf("the service is in %s, and --region says %s", named.Region, a.region), command: "apron import"}
		}
		spec.Region, spec.Account = named.Region, named.AccountID
	}
	s := &session{a: a, set: &manifest.Set{}, guard: &awsapi.Guard{}, specs: []state.Spec{spec}}
	if err := s.configure(ctx); err != nil {
		return nil, "", err
	}
	if s.id, err = awsapi.WhoAmI(ctx, s.cfg); err != nil {
		return nil, "", interruptible(ctx, err)
	}
	if spec.Account != "" && spec.Account != s.id.Account {
		return nil, "", &accountError{file: "the ARN", want: spec.Account, got: s.id.Account}
	}
	found, err := s.wire(applyFlags{}).apprunner.Find(ctx, service)
	if err != nil {
		return nil, "", interruptible(ctx, err)
	}
	s.specs[0].Service = apprunner.NameOf(found)
	return s, found, nil
}

// serviceARN takes the ARN of an App Runner service apart.
func serviceARN(text string) (arn.ARN, error) {
	named, err := arn.Parse(text)
	switch {
	case err != nil || !strings.HasPrefix(named.Resource, "service/"):
		return arn.ARN{}, fmt.Errorf("%s is not the ARN of a service", text)
	case named.Service == "ecs":
		return arn.ARN{}, errors.New("a service of ECS: target: ecs-express is not supported yet, so that there is no manifest to write")
	case named.Service != "apprunner":
		return arn.ARN{}, fmt.Errorf("%s is a service of %s, and not of App Runner", text, named.Service)
	}
	return named, nil
}

// refused says why a live service cannot be imported, or nil.
func (s *session) refused(o state.Observed, flags importFlags) error {
	detail, _ := o.Detail.(apprunner.Live)
	refuse := func(fix, format string, args ...any) error {
		return &importError{service: o.Address.Name, why: fmt.Sprintf(format, args...), fix: fix}
	}
	switch {
	case detail.Sources != "":
		return refuse("write a Dockerfile and a manifest for a service beside it with apron init, move what is before it, and delete this one",
			"App Runner builds it from source code, %s; apron deploys images, and App Runner never changes from one to the other", detail.Sources)
	case o.Phase == state.Failed:
		return refuse("delete it, or rebuild it with other settings first: aws apprunner describe-service, list-operations", "its creation failed, so that nothing of it runs")
	case o.Phase == state.Stuck:
		return refuse("delete it again: aws apprunner delete-service", "its deletion has failed")
	case o.Owner == state.Ours && !flags.adopt:
		return refuse("go on with the manifest that it has; if that is lost, import with --adopt", "apron deploys it already, from a manifest: two for one service would undo each other's changes")
	}
	return nil
}

// importError says why a service is not imported.
type importError struct{ service, why, fix string }

var _ error = (*importError)(nil)

func (e *importError) Error() string {
	return fmt.Sprintf("service %q: %s; nothing was written or changed", e.service, e.why)
}

// Hint says what to do instead.
func (e *importError) Hint() string { return e.fix }

// imported is the result of import.
type imported struct {
	FormatVersion string `json:"format_version"`
	Service       string `json:"service"`
	ARN           string `json:"arn"`
	URL           string `json:"url,omitempty"`
	File          string `json:"file"`
	// EnvFile holds the values of what looks like a secret; empty when it was not written.
	EnvFile   string         `json:"env_file,omitempty"`
	Variables []string       `json:"variables"` // the names of these
	Adopted   []string       `json:"adopted"`   // the resources that got apron's tags
	Left      []inverse.Left `json:"left"`      // what is live and the manifest does not say
}

func (a *app) writeImported(v imported) error {
	v.FormatVersion = render.FormatVersion
	if render.Format(a.format) == render.JSON {
		return a.encode(v)
	}
	fmt.Fprintf(a.out, "%s is written, and is the manifest of %s.\n", v.File, v.Service)
	if len(v.Adopted) == 0 {
		fmt.Fprintf(a.out, "%s was apron's already.\n", v.Service)
	} else {
		fmt.Fprintf(a.out, "%s is apron's now, by tags on %s.\n", v.Service, strings.Join(v.Adopted, ", "))
	}
	fmt.Fprintln(a.out, "Its first plan has no changes.")
	return nil
}
