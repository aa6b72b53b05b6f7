package state

import "time"

// Spec is what one manifest asks for, in terms that fit both targets. Pointers and maps
// that are nil were left out of the manifest and are unmanaged: never compared, never
// changed. Everything in it is resolved but [EnvValue.Template].
type Spec struct {
	File    string // the manifest, as the user named it
	Dir     string // the manifest's directory, absolute
	Origin  string // where others find the manifest, as a tag has it; empty if unknown
	Service string
	Region  string // may be empty: then the environment's
	Account string // guard: refuse any other account; empty for none
	Target  string // apprunner or ecs-express

	Image   Image
	Env     map[string]EnvValue
	Secrets map[string]SecretRef

	Command *string // start command; empty asks for the image's own
	Port    *int
	CPU     *int // CPU units, 1024 = 1 vCPU
	Memory  *int // MiB
	Scaling *Scaling
	Health  *Health
	Verify  []Probe // requests to the real URL after every rollout

	Network *Network
	Domains []Domain
	Tracing string // xray or none; empty leaves it alone
	KMSKey  string // ARN of the key that encrypts App Runner's copy of the image
	WebACL  string // ARN of a web ACL, or none; empty leaves it alone

	AutoDeploy  bool
	Roles       Roles
	Permissions []Permission
	Tags        map[string]string // the user's own; apron adds its own
}

// Image is where the container image comes from and how it is named.
type Image struct {
	Repository string // ECR repository name; defaults to the service's name
	Build      *Build
	From       string // an image that exists already, instead of a build
	Whole      bool   // copy From with all its platforms
	InPlace    bool   // run From where it is, and leave its repository alone
	Version    string // release tag, never moved; may be empty
	// VersionFrom is the text that Version was made from, ${…} and all; empty where the
	// manifest has Version itself.
	VersionFrom string
	Tags        []string // moving tags, at most four
	ScanOnPush  *bool
	Gate        *Gate // what stops a rollout; nil when nothing does
	Keep        *int  // built images kept
	Untagged    *int  // days an untagged image is kept
}

// Gate is what a scan for vulnerabilities must not find.
type Gate struct {
	FailOn string // the least severity that counts, as ECR spells it
	Allow  []Allowance
}

// Allowance lets one finding through, up to and on a day in UTC.
type Allowance struct {
	ID    string
	Until time.Time
}

// Build is a container build. Paths are slash-separated and relative: Context to the
// manifest's directory, everything else to the context.
type Build struct {
	Context    string
	Dockerfile string
	Platform   string // linux/amd64
	Target     string
	Args       map[string]string
	Labels     map[string]string
	Before     *Before
	Builder    string                 // what builds it, unless a flag says otherwise; empty for anything
	Secrets    map[string]BuildSecret // by the id that RUN --mount=type=secret names
	Cache      *Cache                 // never part of what the image is
	Pull       bool                   // whether the digests of its base images are a part of what it is
}

// BuildSecret is what a build may read and must not keep: the value of an environment
// variable, or a file. Neither is an input of the image.
type BuildSecret struct {
	Env   string // name of the variable; empty for a file
	Value Sensitive
	Set   bool   // whether the variable had a value
	File  string // relative to the context, or absolute
}

// Cache is where build layers are looked for and where they are kept: "gha",
// "gha:SCOPE", "registry:REFERENCE" or "local:DIRECTORY".
type Cache struct {
	From []string
	To   []string
}

// Before is a command that runs before a build, never by plan.
type Before struct {
	Run     []string
	Env     map[string]string
	Inputs  []string // patterns, hashed even if ignored by .dockerignore; nil if nobody said
	Outputs []string // patterns it produces; not hashed; must exist afterwards
}

// EnvValue is a plain environment variable.
type EnvValue struct {
	Value string // the text, with the defaults of soft references
	// Template is the text with its soft references, each written
	// ${services.NAME.url}; empty when there are none.
	Template string
	// Omit says that a soft reference has no default, so that a create must leave the
	// variable out until the URL is known.
	Omit bool
	// Provenance says that the value names the commit (git.*): sent when something
	// else changes, never itself a change.
	Provenance bool
	// Source, with Provenance, is the text of the manifest that Value was made from.
	Source string
	// Hidden says that the value must be masked wherever it is shown.
	Hidden bool
}

// SecretSource is where a secret's value lives.
type SecretSource string

const (
	FromEnv            SecretSource = "env"            // the environment; kept as an SSM SecureString
	FromSSM            SecretSource = "ssm"            // a Systems Manager parameter
	FromSecretsManager SecretSource = "secretsmanager" // a Secrets Manager secret
)

// SecretRef says where the value of a secret variable comes from.
type SecretRef struct {
	Source SecretSource
	// Name is the environment variable, the parameter's name or ARN, or the secret's
	// name or ARN.
	Name string
	Key  string // JSON key within the secret; Secrets Manager only
	// Stage and Version name one version of the secret, by its label or its id, instead
	// of the current one; Secrets Manager only.
	Stage, Version string
	// Value is the environment variable's value; Set says whether it had one.
	Value Sensitive
	Set   bool
}

// Scaling is how many instances run and what makes another one start.
type Scaling struct {
	Min         *int
	Max         *int
	Concurrency *int // requests at once per instance
}

// Health is the health check of an instance.
type Health struct {
	Protocol  *string // HTTP or TCP
	Path      *string // HTTP only
	Interval  *time.Duration
	Timeout   *time.Duration
	Healthy   *int // successes in a row
	Unhealthy *int // failures in a row
}

// Domain is a domain name of one's own, in lower case.
type Domain struct {
	Name    string
	WWW     bool // www. before it is the service's, too
	Route53 bool // apron writes its records
	Wait    bool // an apply waits until it is active
}

// Network is what the service can reach and who can reach it.
type Network struct {
	Egress  *Egress
	Public  *bool
	Ingress *Ingress
	IP      string // ipv4 or dual_stack; empty leaves it alone
}

// Egress is outgoing traffic through a VPC; without subnets, straight to the Internet.
// The ids are sorted.
type Egress struct {
	Subnets        []string
	SecurityGroups []string // none for the VPC's default group
}

// Ingress is the VPC endpoint through which a service that is not public is reached.
type Ingress struct {
	VPC      string
	Endpoint string
}

// Probe is a request to the deployed service and the status it must answer with.
type Probe struct {
	Path   string
	Status int
}

// Roles are the IAM roles of a service: "auto" lets apron make and keep one, anything
// else is the name or ARN of a role it only uses.
type Roles struct {
	Access   string // pulls the image
	Instance string // what the application may do; none for a service that must have none
}

// Permission is one thing the application may do.
type Permission struct {
	Action   string // "s3:GetObject"
	Resource string // ARN, or "*"
}
