package manifest

//go:generate go test . -run TestSchema_isGenerated -update

// Manifest is one service: its image, its settings and who may do what.
//
// The tags say what one value may be: range (of a whole number or of seconds), enum,
// format (a name from the table of formats), most (of the items of a list or mapping)
// and required (with an example). They drive the checks and the JSON Schema alike; doc comments become
// the schema's descriptions.
type Manifest struct {
	// The version of this format. Always 1.
	Version *int `yaml:"version" range:"1-1" required:"1"`
	// The name of the service, 4 to 40 letters, digits, hyphens and underscores. It can
	// not be changed later.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
	Service string `yaml:"service" format:"service" required:"NAME"`
	// The AWS Region. A flag comes before it, AWS_REGION after it.
	// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
	Region string `yaml:"region" format:"region"`
	// A guard: refuse to touch any AWS account but this one. Twelve digits.
	Account string `yaml:"account" format:"account"`
	// Where the service runs: AWS App Runner, or Amazon ECS Express Mode.
	Target string `yaml:"target" enum:"apprunner|ecs-express"`
	// Where the container image comes from and how it is named.
	Image *Image `yaml:"image"`
	// Plain environment variables, readable by everybody who may describe the service.
	// When given, it is the whole map: a live variable it lacks is removed. Values may
	// name URLs known only later: ${self.url}, ${services.NAME.url}.
	// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable.html
	Env map[string]Value `yaml:"env" keys:"env"`
	// Secret environment variables, by reference: env:NAME, ssm:/path,
	// secretsmanager:name#key, or a full ARN. One version of a secret is
	// secretsmanager:name#key:STAGE or name#key::ID, as at the end of App Runner's own ARNs.
	// When given, it is the whole map.
	// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable-manage.html
	Secrets map[string]Secret `yaml:"secrets" keys:"env"`
	// The start command, instead of the image's own. App Runner can change one and not take
	// it away: an empty text asks for the image's own, and needs --replace on a service
	// that has one.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
	Command *string `yaml:"command" format:"command"`
	// The port the application listens on, 1 to 65535. The application finds it in PORT.
	Port *int `yaml:"port" range:"1-65535"`
	// CPU of an instance: 256, 0.25 or 0.25 vCPU; 1024 units are one vCPU. Not without
	// memory.
	// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
	CPU *CPU `yaml:"cpu"`
	// Memory of an instance: 512, 512 MB or 0.5 GB; a plain number is in MB. Which sizes
	// are legal depends on cpu.
	// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
	Memory *Memory `yaml:"memory"`
	// How many instances run, and what makes another one start.
	Scaling *Scaling `yaml:"scaling"`
	// The health check of an instance. A path implies the protocol HTTP.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_HealthCheckConfiguration.html
	Health *Health `yaml:"health"`
	// Requests to the real URL after every rollout. Left out, the path of an HTTP health
	// check must answer 200; an empty list asks for none.
	Verify *[]Probe `yaml:"verify"`
	// Own domain names, at most five, each a name alone or with how to treat it. When given,
	// it is the whole list: another domain of the service is disassociated.
	// https://docs.aws.amazon.com/apprunner/latest/dg/manage-custom-domains.html
	Domains []Domain `yaml:"domains" most:"5"`
	// What the service can reach and who can reach it.
	Network *Network `yaml:"network"`
	// Tracing.
	Observability *Observability `yaml:"observability"`
	// IAM roles: auto lets apron make and keep one, anything else is the name or ARN of a
	// role that apron only uses.
	Roles *Roles `yaml:"roles"`
	// What the application may do, each "ACTION RESOURCE":
	// "s3:GetObject arn:aws:s3:::bucket/*".
	// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
	Permissions []Permission `yaml:"permissions"`
	// Commands around the switch to a new version.
	Hooks *Hooks `yaml:"hooks"`
	// A monthly budget.
	Budget *Budget `yaml:"budget"`
	// When the service is paused and resumed.
	Schedule *Schedule `yaml:"schedule"`
	// AWS resource tags, per key: tags that others put on the resource stay.
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	Tags map[string]string `yaml:"tags" keys:"tag" format:"tagvalue" most:"40"`
	// Whether App Runner deploys by itself when somebody pushes the image's tag. Off
	// unless asked for, unlike in the API.
	// https://docs.aws.amazon.com/apprunner/latest/dg/manage-deploy.html
	AutoDeploy *bool `yaml:"auto_deploy"`
	// Settings that App Runner alone has.
	AppRunner *AppRunner `yaml:"apprunner"`
	// Settings that ECS Express Mode alone has.
	Express *Express `yaml:"express"`
	// Overlays by name, chosen with -e: maps merge, lists and single values replace, null
	// removes a key so that it is unmanaged again.
	Environments map[string]*Manifest `yaml:"environments" keys:"environment"`
}

// Image is where the container image comes from and how it is named.
type Image struct {
	// The ECR repository. Left out, it is named like the service. Several services may
	// share one.
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	Repository string `yaml:"repository" format:"repository"`
	// An image that exists already, to be copied: a reference in any registry, an OCI
	// layout or an archive. Not together with build.
	From string `yaml:"from" format:"line"`
	// Whether from is copied, as it is unless this is false: then the service runs it where
	// it is, by its name, which must be in ECR or ECR Public. apron sees that another image
	// is named, and not that a tag has moved; it changes nothing in that repository.
	// https://docs.aws.amazon.com/apprunner/latest/dg/service-source-image.html
	Copy *bool `yaml:"copy"`
	// Which images of a from with several platforms are copied: all, which is the whole
	// index as it is, or left out, the one that the target runs, linux/amd64.
	Platforms string `yaml:"platforms" enum:"all"`
	// How to build the image. Left out without from, it is a Dockerfile beside the
	// manifest.
	Build *Build `yaml:"build"`
	// A release tag such as v1.2.0. It is put after the rollout succeeded and never moved.
	Version string `yaml:"version" format:"imagetag"`
	// Tags that move to each image that was rolled out, at most four.
	Tags []string `yaml:"tags" format:"imagetag" most:"4"`
	// Scanning for vulnerabilities.
	Scan *Scan `yaml:"scan"`
	// How long images are kept.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
	Retention *Retention `yaml:"retention"`
}

// Build is a container build. Paths have forward slashes and are relative.
type Build struct {
	// The build context, relative to the manifest. Default ".".
	Context string `yaml:"context" format:"path"`
	// The Dockerfile, relative to the context. Default "Dockerfile".
	Dockerfile string `yaml:"dockerfile" format:"path"`
	// The platform of the image. App Runner runs linux/amd64 only.
	Platform string `yaml:"platform" enum:"linux/amd64"`
	// The stage to build; left out, the last one.
	Target string `yaml:"target" format:"line"`
	// Build arguments. They stay readable in the image's history, so what looks like a
	// secret is refused; build secrets are under secrets. SOURCE_DATE_EPOCH, in seconds
	// since 1970, is the latest time that any file of the image has.
	// https://reproducible-builds.org/docs/source-date-epoch/
	Args map[string]Argument `yaml:"args" keys:"env"`
	// Labels of the image.
	Labels map[string]Argument `yaml:"labels" keys:"label"`
	// A command that runs before a build, never by plan.
	Before *Before `yaml:"before"`
	// Build secrets by id, for RUN --mount=type=secret,id=ID: env:NAME is the value of an
	// environment variable, file:PATH a file, relative to the context. They are in no
	// layer, no log and no command line, and their values do not name the image.
	// https://docs.docker.com/build/building/secrets/
	Secrets map[string]BuildSecret `yaml:"secrets" keys:"secretid"`
	// Whether base images are looked up in their registries: the digest that FROM node:22
	// leads to names the image along with everything else, so that a base image that was
	// mended is a change of the plan, and the builder pulls what it has an older one of.
	// Default false: the image is made anew when something in the repository changes.
	Pull bool `yaml:"pull"`
	// Where build layers are cached, which changes how long a build takes and nothing else.
	Cache *Cache `yaml:"cache"`
	// What builds the image: auto, docker, buildx, buildx:INSTANCE, podman, buildah or
	// builtin. A flag and APRON_BUILDER come before it. Default auto, which is what there
	// is. DOCKER_HOST and docker's contexts are followed.
	Builder string `yaml:"builder" format:"builder"`
}

// Cache is where build layers are cached: gha, gha:SCOPE, registry:REFERENCE or
// local:DIRECTORY, relative to the context. A builder that lacks one builds without it.
// https://docs.docker.com/build/cache/backends/
type Cache struct {
	// Where layers are looked for, in this order.
	From []string `yaml:"from" format:"cache" most:"8"`
	// Where layers are kept after a build.
	To []string `yaml:"to" format:"cache" most:"8"`
}

// Before is a command that runs before a build, in the context.
type Before struct {
	// The command, word by word, without a shell.
	Run []string `yaml:"run" format:"word"`
	// Its environment, beside that of apron without what is for apron alone: AWS_*, GITHUB_*,
	// ACTIONS_*, CI_*, APRON_*, GH_TOKEN, and the service's secrets.
	Env map[string]Argument `yaml:"env" keys:"env"`
	// Patterns of what it reads, relative to the context. Hashed even if .dockerignore
	// excludes them; they may leave the context, not the repository. Where .dockerignore
	// leaves out all but what it names they are required; [] is for a command that reads
	// nothing else.
	Inputs []string `yaml:"inputs" format:"path"`
	// Patterns of what it makes, relative to the context and within it. Not hashed; must
	// exist afterwards. Required with run.
	Outputs []string `yaml:"outputs" format:"path"`
}

// Scan is the scanning of images for vulnerabilities.
type Scan struct {
	// Whether ECR scans each image when it is pushed.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html
	OnPush *bool `yaml:"on_push"`
	// The least severity that stops a rollout.
	FailOn string `yaml:"fail_on" enum:"CRITICAL|HIGH|MEDIUM|LOW|INFORMATIONAL"`
	// Findings that stop nothing.
	Allow []Allowance `yaml:"allow" most:"100"`
}

// Allowance lets one finding of a scan through.
type Allowance struct {
	// The finding, such as CVE-2026-12345; UNSUPPORTED_IMAGE for images that ECR cannot
	// scan, those made from scratch among them.
	ID string `yaml:"id" format:"line" required:"CVE-2026-12345"`
	// The last day, in UTC, on which it holds. An allowance without an end is forgotten.
	Until string `yaml:"until" format:"date" required:"2027-01-31"`
}

// Retention is how long images are kept.
type Retention struct {
	// How many built images are kept, beside those that run. An older one goes with every
	// name that it has, its version among them, and cannot be rolled back to.
	Keep *int `yaml:"keep" range:"1-1000"`
	// How many days an image without a tag is kept.
	UntaggedDays *int `yaml:"untagged_days" range:"1-3650"`
}

// Scaling is how many instances run and what makes another one start.
type Scaling struct {
	// The least number of instances, 1 to 25. App Runner cannot scale to zero.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateAutoScalingConfiguration.html
	Min *int `yaml:"min" range:"1-25"`
	// The greatest number of instances, at least min.
	Max *int `yaml:"max" range:"1-1000"`
	// Requests at once that one instance takes, 1 to 200. Short for metric: concurrency
	// with that target.
	Concurrency *int `yaml:"concurrency" range:"1-200"`
	// What is measured. App Runner knows concurrency only, ECS Express the others.
	Metric string `yaml:"metric" enum:"concurrency|cpu|memory|requests"`
	// The value of the metric to hold: requests at once, percent, or requests a minute.
	Target *int `yaml:"target" range:"1-1000000"`
}

// Health is the health check of an instance.
type Health struct {
	// HTTP asks for a path, TCP only opens a connection. With a path it is HTTP.
	Protocol *string `yaml:"protocol" enum:"HTTP|TCP"`
	// The path that must answer 200; HTTP only.
	Path *string `yaml:"path" format:"urlpath"`
	// The time between checks, 1 to 20 seconds: 20s, or 20.
	Interval *Duration `yaml:"interval" range:"1-20"`
	// How long an answer may take, 1 to 20 seconds and less than interval.
	Timeout *Duration `yaml:"timeout" range:"1-20"`
	// Successes in a row that make an instance healthy, 1 to 20.
	Healthy *int `yaml:"healthy" range:"1-20"`
	// Failures in a row that make an instance unhealthy, 1 to 20.
	Unhealthy *int `yaml:"unhealthy" range:"1-20"`
}

// Probe is a request to the deployed service.
type Probe struct {
	// The path to ask for.
	Path string `yaml:"path" format:"urlpath" required:"/health"`
	// The status it must answer with. Default 200.
	Status *int `yaml:"status" range:"100-599"`
}

// Domain is a domain name of one's own. Its certificate is issued once the CNAME records
// that App Runner asks for are in DNS, and renewed as long as they stay there.
type Domain struct {
	// The name: example.com, app.example.com, or *.example.com for all names just below.
	Name string `yaml:"name" format:"domain" short:"1" required:"app.example.com"`
	// Whether www. before the name is the service's, too. Off unless asked for, unlike in
	// the API. A change needs --replace, during which the domain does not work.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_AssociateCustomDomain.html
	WWW *bool `yaml:"www"`
	// Whether apron writes the records into the public hosted zone of this account. Without
	// it they are printed. What stands there already and points elsewhere is refused.
	// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html
	Route53 *bool `yaml:"route53"`
	// Whether an apply waits until the domain is active, which takes minutes to two days.
	Wait *bool `yaml:"wait"`
}

// Network is what the service can reach and who can reach it.
type Network struct {
	// Outgoing traffic through a VPC: all of it, so that the Internet and AWS are reached
	// only through a NAT gateway or endpoints of that VPC. No subnets ask for the way
	// straight to the Internet.
	// https://docs.aws.amazon.com/apprunner/latest/dg/network-vpc.html
	Egress *Egress `yaml:"egress"`
	// Whether the Internet can reach the service. A service that it cannot reach is
	// reached through a VPC endpoint, which ingress names.
	// https://docs.aws.amazon.com/apprunner/latest/dg/network-pl.html
	Public *bool `yaml:"public"`
	// How a service that is not public is reached.
	Ingress *Ingress `yaml:"ingress"`
	// The address family of incoming traffic: IPv4 alone, or IPv6 beside it, for which
	// dual is short.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_NetworkConfiguration.html
	IP string `yaml:"ip" enum:"ipv4|dual_stack|dual"`
}

// Egress is outgoing traffic through a VPC. The VPC connector with just these subnets and
// groups is used, whoever made it; without one apron makes one, which other services may
// share.
type Egress struct {
	// Subnet ids of one VPC, in Availability Zones that App Runner supports. Private ones:
	// instances have no public address.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateVpcConnector.html
	Subnets []string `yaml:"subnets" format:"subnet" most:"16"`
	// Security group ids; left out, the VPC's default group.
	SecurityGroups []string `yaml:"security_groups" format:"group" most:"5"`
}

// Ingress is the way from a VPC to a service that is not public.
// https://docs.aws.amazon.com/apprunner/latest/dg/network-pl-manage.html
type Ingress struct {
	// The VPC that the endpoint is in.
	VPC string `yaml:"vpc" format:"vpc" required:"vpc-0123456789abcdef0"`
	// An interface endpoint for com.amazonaws.REGION.apprunner.requests, which exists
	// already.
	Endpoint string `yaml:"endpoint" format:"endpoint" required:"vpce-0123456789abcdef0"`
}

// Observability is tracing.
type Observability struct {
	// Where traces go, none for nowhere. The application sends them, with the AWS distro
	// for OpenTelemetry and OTEL_METRICS_EXPORTER=none, and may do so by a policy that
	// apron attaches to the instance role it makes.
	// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-xray.html
	Tracing string `yaml:"tracing" enum:"xray|none"`
}

// Roles are the IAM roles of a service.
type Roles struct {
	// Pulls the image; App Runner.
	// https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html
	Access string `yaml:"access" format:"role"`
	// What the application may do; App Runner. none asks for no role at all, and needs
	// --replace on a service that has one.
	Instance string `yaml:"instance" format:"role"`
	// Pulls the image and reads secrets; ECS Express.
	Execution string `yaml:"execution" format:"role"`
	// Makes load balancers and the like; ECS Express.
	Infrastructure string `yaml:"infrastructure" format:"role"`
	// What the application may do; ECS Express.
	Task string `yaml:"task" format:"role"`
}

// Hooks are commands around the switch to a new version.
type Hooks struct {
	// Runs in the new image, with the service's environment, before it takes traffic:
	// migrations.
	BeforeSwitch []string `yaml:"before_switch" format:"word"`
	// Runs on this machine after a verified rollout.
	After []string `yaml:"after" format:"word"`
	// Names of variables that hooks may see though they are credentials.
	Env []string `yaml:"env" format:"envname"`
}

// Budget is a monthly budget.
type Budget struct {
	// The amount: 10 USD.
	Monthly string `yaml:"monthly" format:"money"`
	// When to write: percentages of it.
	AlertAt []string `yaml:"alert_at" format:"percent" most:"5"`
	// Whom to write to.
	Notify []string `yaml:"notify" format:"email" most:"10"`
}

// Schedule is when the service is paused and resumed.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
type Schedule struct {
	// When to pause it: cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR).
	Pause string `yaml:"pause" format:"cron"`
	// When to resume it.
	Resume string `yaml:"resume" format:"cron"`
	// The time zone of both: Europe/Paris. Default UTC.
	Timezone string `yaml:"timezone" format:"zone"`
}

// AppRunner holds settings that App Runner alone has.
type AppRunner struct {
	// The key that encrypts App Runner's copy of the image: a full key ARN, not an alias.
	// It cannot be changed later.
	// https://docs.aws.amazon.com/apprunner/latest/api/API_EncryptionConfiguration.html
	KMSKey string `yaml:"kms_key" format:"key"`
	// The AWS WAF web ACL that inspects requests: the ARN of a regional one, or none. It
	// needs the rights of App Runner and of WAF, see apron docs permissions.
	// https://docs.aws.amazon.com/apprunner/latest/dg/waf.html
	WebACL string `yaml:"web_acl" format:"webacl"`
}

// Express holds settings that ECS Express Mode alone has.
type Express struct {
	// The ECS cluster. Default "default".
	Cluster string `yaml:"cluster" format:"cluster"`
	// The CPU architecture of the tasks.
	Architecture string `yaml:"architecture" enum:"X86_64|ARM64"`
}
