package inverse_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/inverse"
	"github.com/apron-deploy/apron/reconcile/state"
)

var update = flag.Bool("update", false, "write what is seen into the golden files")

func at(kind, name string) state.Address {
	return state.Address{Target: "apprunner", Kind: kind, Name: name}
}

func field(path, value string) state.Field { return state.Field{Path: path, Value: value} }

func ref(path string, to state.Address) state.Field {
	return state.Field{Path: path, Value: to.String(), Ref: true}
}

func observed(addr state.Address, fields ...state.Field) state.Observed {
	return state.Observed{Resource: state.Resource{Address: addr, Fields: state.Sort(fields)}, Owner: state.Theirs, Phase: state.Ready}
}

// lives is a service with some settings, and what is beside it.
func lives(service state.Observed, beside ...state.Observed) state.Live {
	live := state.Live{service.Address: service}
	for _, o := range beside {
		live[o.Address] = o
	}
	return live
}

var (
	shop    = at("service", "shop")
	image   = ref("image", state.Address{Target: "ecr", Kind: "image", Name: "team/shop:v1.4.2"})
	options = inverse.Options{Account: "123456789012", Region: "us-east-1", Partition: "aws", Registry: "123456789012.dkr.ecr.us-east-1.amazonaws.com",
		Access:   state.Address{Target: "iam", Kind: "role", Name: "apron-us-east-1-shop-access"},
		Instance: state.Address{Target: "iam", Kind: "role", Name: "apron-us-east-1-shop-instance"}}
)

// rich has a setting of every kind, and some that no manifest says.
func rich() state.Live {
	o := observed(shop, image,
		field("access_role", "arn:aws:iam::123456789012:role/ecr-puller"), field("instance_role", "arn:aws:iam::123456789012:role/shop-app"),
		field("auto_deploy", "true"), field("command", `/app --greeting "$HELLO"`), field("port", "3000"), field("cpu", "1024"), field("memory", "2048"),
		field("env.LOG_LEVEL", "info"), field("env.PRICE", "$5"), field("env.STRIPE_KEY", "sk_live_0123456789abcdef"), field("env.db.password", "hunter2-hunter2"), field("env.GITHUB_TOKEN", "ghp_0123456789012345678901"),
		field("secrets.DATABASE_URL", "arn:aws:ssm:us-east-1:123456789012:parameter/prod/db/url"),
		ref("secrets.OTHER", state.Address{Target: "ssm", Kind: "parameter", Name: "/apron/api/OTHER"}),
		field("secrets.OPENAI_API_KEY", "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/openai-AbCdEf:key::"),
		ref("scaling", at("scaling", "high-traffic")),
		field("health.protocol", "HTTP"), field("health.path", "/health"), field("health.interval", "10s"), field("health.timeout", "5s"), field("health.healthy", "2"), field("health.unhealthy", "7"),
		ref("network.egress", at("vpc-connector", "private")), field("network.public", "false"), field("network.ip", "dual_stack"),
		ref("tracing", at("observability", "our-traces")), field("kms_key", "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"),
		field("tags.team", "ai"), field("tags.cost center", "42"), field("tags.apron:service", "shop"), field("tags.aws:cloudformation:stack-name", "shop-stack"))
	broken := observed(at("domain", "old.example.com"), ref("service", shop), field("www", "false"))
	broken.Phase, broken.Note = state.Failed, "CREATE_FAILED"
	return lives(o,
		observed(at("scaling", "high-traffic"), field("min", "2"), field("max", "7"), field("concurrency", "80")),
		observed(at("vpc-connector", "private"), field("subnets", "subnet-0123456789abcdef0 subnet-0123456789abcdef1"), field("security_groups", "sg-0123456789abcdef0")),
		observed(at("observability", "our-traces"), field("vendor", "AWSXRAY")),
		observed(at("vpc-ingress", "office"), ref("service", shop), field("vpc", "vpc-0123456789abcdef0"), field("endpoint", "vpce-0123456789abcdef0")),
		observed(at("vpc-ingress", "partner"), ref("service", shop), field("vpc", "vpc-0123456789abcdef1"), field("endpoint", "vpce-0123456789abcdef1")),
		observed(at("domain", "shop.example.com"), ref("service", shop), field("www", "true")), broken,
		observed(state.Address{Target: "wafv2", Kind: "association", Name: "shop"}, ref("service", shop),
			field("web_acl", "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/front/01234567-89ab-cdef-0123-456789abcdef")))
}

func TestDraft_ofARichService(t *testing.T) {
	o := options
	o.Dockerfile = true
	r := inverse.Draft(rich(), shop, o)
	const golden = "testdata/rich.yaml"
	text := r.Draft.Text()
	if *update {
		require.NoError(t, os.WriteFile(golden, text, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text))
	require.Equal(t, []inverse.Variable{
		{Name: "GITHUB_TOKEN", From: "SERVICE_GITHUB_TOKEN", Value: "ghp_0123456789012345678901", Looks: "a GitHub token"},
		{Name: "STRIPE_KEY", From: "STRIPE_KEY", Value: "sk_live_0123456789abcdef", Looks: "a secret API key"},
		{Name: "db.password", From: "db_password", Value: "hunter2-hunter2", Looks: "a secret by its name"},
	}, r.Variables)
	_, err = manifest.Load(manifest.Options{
		LookupEnv: func(name string) (string, bool) { return name, true },
		ReadFile: func(name string) ([]byte, error) {
			if name == "deploy.yaml" {
				return text, nil
			}
			return nil, os.ErrNotExist
		}})
	require.NoError(t, err)
}

func TestDraft_leavesOutAndNames(t *testing.T) {
	scaling := observed(at("scaling", "ours"), field("min", "1"), field("max", "2"), field("concurrency", "3"))
	failed := func(kind, name, note string) state.Observed {
		o := observed(at(kind, name), ref("service", shop), field("www", "false"))
		o.Phase, o.Note = state.Failed, note
		return o
	}
	for name, tc := range map[string]struct {
		live  state.Live
		leave map[string]string
		left  []inverse.Left
		not   string
	}{
		"a scaling configuration that cannot be read": {
			live: lives(observed(shop, image, ref("scaling", at("scaling", "ours")))),
			left: []inverse.Left{{Path: "scaling", Why: "the configuration ours, whose numbers could not be read"}}, not: "scaling: {",
		},
		"a VPC connector that cannot be read": {
			live: lives(observed(shop, image, ref("network.egress", at("vpc-connector", "private")))),
			left: []inverse.Left{{Path: "network.egress", Why: "the VPC connector private, whose subnets and groups could not be read"}}, not: "egress: ",
		},
		"a VPC connector of another account": {
			live: lives(observed(shop, image, field("network.egress", "arn:aws:apprunner:us-east-1:210987654321:vpcconnector/x/1/y"))),
			left: []inverse.Left{{Path: "network.egress", Why: "the VPC connector arn:aws:apprunner:us-east-1:210987654321:vpcconnector/x/1/y, which is not of this account and Region"}},
		},
		"tracing without a role": {
			live: lives(observed(shop, image, ref("tracing", at("observability", "ours"))), observed(at("observability", "ours"), field("vendor", "AWSXRAY"))),
			left: []inverse.Left{{Path: "observability", Why: "tracing by ours: the service has no instance role, and apron would make it one that may send traces"}}, not: "tracing: xray",
		},
		"tracing that cannot be read": {
			live: lives(observed(shop, image, ref("tracing", at("observability", "ours")), field("instance_role", "arn:aws:iam::123456789012:role/app"))),
			left: []inverse.Left{{Path: "observability", Why: "the configuration ours, which could not be read or sends no traces to X-Ray"}},
		},
		"all domains, because the list is whole": {
			live: lives(observed(shop, image), observed(at("domain", "a.example.com"), ref("service", shop)), failed("domain", "b.example.com", "CREATE_FAILED")),
			left: []inverse.Left{{Path: "domains", Why: "a.example.com, b.example.com: b.example.com is CREATE_FAILED"}}, not: "domains: [",
		},
		"a broken way in": {
			live: lives(observed(shop, image, field("network.public", "false")), failed("vpc-ingress", "office", "FAILED_CREATION")),
			left: []inverse.Left{{Path: "network.ingress", Why: "the VPC ingress connection office, through  of : it is FAILED_CREATION"}}, not: "ingress: {",
		},
		"all variables, because the map is whole": {
			live:  lives(observed(shop, image, field("env.A", "1"), field("env.B", "2"))),
			leave: map[string]string{"env.B": "is too long"},
			left:  []inverse.Left{{Path: "env", Why: "A, B: is too long"}}, not: "env:\n",
		},
		"all secrets, likewise": {
			live:  lives(observed(shop, image, field("secrets.A", "arn:a"), field("secrets.B", "arn:b"))),
			leave: map[string]string{"secrets.A": "is not a reference to a secret"},
			left:  []inverse.Left{{Path: "secrets", Why: "A, B: is not a reference to a secret"}}, not: "secrets:\n",
		},
		"one tag, because tags are not": {
			live:  lives(observed(shop, image, field("tags.a", "1"), field("tags.b", "2%"))),
			leave: map[string]string{"tags.b": "is not a tag value"},
			left:  []inverse.Left{{Path: "tags.b", Why: "2%: is not a tag value"}}, not: "  b: ",
		},
		"not one whose name begins like it": {
			live:  lives(observed(shop, image, field("tags.a", "1"), field("tags.a.b", "2%"))),
			leave: map[string]string{"tags.a.b": "is not a tag value"},
			left:  []inverse.Left{{Path: "tags.a.b", Why: "2%: is not a tag value"}}, not: "  a.b: ",
		},
		"all of them where there are too many": {
			live:  lives(observed(shop, image, field("tags.a", "1"), field("tags.b", "2"))),
			leave: map[string]string{"tags": "has more than 40 entries"},
			left:  []inverse.Left{{Path: "tags.a", Why: "1: has more than 40 entries"}, {Path: "tags.b", Why: "2: has more than 40 entries"}}, not: "tags:\n",
		},
		"numbers that apron would change": {
			live:  lives(observed(shop, image, ref("scaling", at("scaling", "ours"))), scaling),
			leave: map[string]string{"scaling": "apron would change it"},
			left:  []inverse.Left{{Path: "scaling", Why: "ours: apron would change it"}}, not: "scaling: {",
		},
		"AWS's own tags": {
			live: lives(observed(shop, image, field("tags.aws:servicecatalog:applicationName", "shop"))),
			left: []inverse.Left{{Path: "tags.aws:servicecatalog:applicationName", Why: "shop: AWS's own"}}, not: "tags:\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options
			o.Leave = tc.leave
			r := inverse.Draft(tc.live, shop, o)
			require.Equal(t, tc.left, r.Left)
			text := string(r.Draft.Text())
			for _, l := range tc.left {
				require.Contains(t, text, "# - "+l.Path+": ")
			}
			if name == "not one whose name begins like it" {
				require.Contains(t, text, "  a: 1\n")
			}
			if tc.not != "" {
				require.NotContains(t, text, "\n"+tc.not)
			}
		})
	}
}

func TestDraft_ofWhatApronHasMade(t *testing.T) {
	live := lives(observed(shop, image, ref("access_role", options.Access), ref("instance_role", options.Instance),
		ref("secrets.KEY", state.Address{Target: "ssm", Kind: "parameter", Name: "/apron/shop/KEY"}), ref("scaling", at("scaling", "apron-1-2-50"))),
		observed(at("scaling", "apron-1-2-50"), field("min", "1"), field("max", "2"), field("concurrency", "50")),
		observed(options.Instance, field("permission.s3:GetObject arn:aws:s3:::bucket/*", "allow"), field("permission.ssm:GetParameters arn:aws:ssm:us-east-1:123456789012:parameter/apron/shop/KEY", "allow")))
	text := string(inverse.Draft(live, shop, options).Draft.Text())
	require.Contains(t, text, "KEY: env:KEY\n")
	require.Contains(t, text, "scaling: {min: 1, max: 2, concurrency: 50}\n")
	require.Contains(t, text, "permissions: [s3:GetObject arn:aws:s3:::bucket/*]\n")
	require.NotContains(t, text, "roles:")
}
