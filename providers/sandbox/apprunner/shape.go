package apprunner

import "github.com/apron-deploy/apron/providers/sandbox/wire"

// Service statuses. https://docs.aws.amazon.com/apprunner/latest/api/API_Service.html
const (
	running      = "RUNNING"
	paused       = "PAUSED"
	inProgress   = "OPERATION_IN_PROGRESS"
	createFailed = "CREATE_FAILED"
	deleteFailed = "DELETE_FAILED"
	deleted      = "DELETED"
)

// Operation types and statuses.
// https://docs.aws.amazon.com/apprunner/latest/api/API_OperationSummary.html
const (
	opCreate = "CREATE_SERVICE"
	opUpdate = "UPDATE_SERVICE"
	opDeploy = "START_DEPLOYMENT"
	opPause  = "PAUSE_SERVICE"
	opResume = "RESUME_SERVICE"
	opDelete = "DELETE_SERVICE"

	opPending     = "PENDING"
	opInProgress  = "IN_PROGRESS"
	opSucceeded   = "SUCCEEDED"
	opFailed      = "FAILED"
	opRollingBack = "ROLLBACK_IN_PROGRESS"
	opRolledBack  = "ROLLBACK_SUCCEEDED"
)

// vpcEgress sends a service's outgoing traffic through a VPC connector.
const vpcEgress = "VPC"

// The shapes below carry AWS's member names. Pointers and nil maps mean "not sent";
// an empty map that was sent stays distinct from one that was not.

type sourceShape struct {
	CodeRepository              *codeShape  `json:",omitempty"`
	ImageRepository             *imageShape `json:",omitempty"`
	AutoDeploymentsEnabled      *bool       `json:",omitempty"`
	AuthenticationConfiguration *authShape  `json:",omitempty"`
}

type imageShape struct {
	ImageIdentifier     *string           `json:",omitempty"`
	ImageConfiguration  *imageConfigShape `json:",omitempty"`
	ImageRepositoryType *string           `json:",omitempty"`
}

type imageConfigShape struct {
	RuntimeEnvironmentVariables map[string]string `json:",omitempty"`
	StartCommand                *string           `json:",omitempty"`
	Port                        *string           `json:",omitempty"`
	RuntimeEnvironmentSecrets   map[string]string `json:",omitempty"`
}

type authShape struct {
	ConnectionArn *string `json:",omitempty"`
	AccessRoleArn *string `json:",omitempty"`
}

type instanceShape struct {
	Cpu             *string `json:",omitempty"`
	Memory          *string `json:",omitempty"`
	InstanceRoleArn *string `json:",omitempty"`
}

type healthShape struct {
	Protocol           *string `json:",omitempty"`
	Path               *string `json:",omitempty"`
	Interval           *int    `json:",omitempty"`
	Timeout            *int    `json:",omitempty"`
	HealthyThreshold   *int    `json:",omitempty"`
	UnhealthyThreshold *int    `json:",omitempty"`
}

type networkShape struct {
	EgressConfiguration  *egressShape  `json:",omitempty"`
	IngressConfiguration *ingressShape `json:",omitempty"`
	IpAddressType        *string       `json:",omitempty"`
}

type egressShape struct {
	EgressType      *string `json:",omitempty"`
	VpcConnectorArn *string `json:",omitempty"`
}

// ingressShape's member is a primitive in AWS's model: a sent structure without it
// means false, which is all that the Go SDK can say.
type ingressShape struct{ IsPubliclyAccessible bool }

type observabilityShape struct {
	ObservabilityEnabled          bool
	ObservabilityConfigurationArn *string `json:",omitempty"`
}

type encryptionShape struct {
	KmsKey *string `json:",omitempty"`
}

// config is what CreateService and UpdateService have in common.
type config struct {
	SourceConfiguration         *sourceShape        `json:",omitempty"`
	InstanceConfiguration       *instanceShape      `json:",omitempty"`
	HealthCheckConfiguration    *healthShape        `json:",omitempty"`
	NetworkConfiguration        *networkShape       `json:",omitempty"`
	ObservabilityConfiguration  *observabilityShape `json:",omitempty"`
	AutoScalingConfigurationArn *string             `json:",omitempty"`
}

type tagShape struct {
	Key   *string `json:",omitempty"`
	Value *string `json:",omitempty"`
}

type serviceShape struct {
	ServiceName                     string
	ServiceId                       string
	ServiceArn                      string
	ServiceUrl                      string `json:",omitempty"`
	CreatedAt                       wire.Time
	UpdatedAt                       wire.Time
	DeletedAt                       wire.Time `json:",omitzero"`
	Status                          string
	SourceConfiguration             *sourceShape
	InstanceConfiguration           *instanceShape
	EncryptionConfiguration         *encryptionShape `json:",omitempty"`
	HealthCheckConfiguration        *healthShape
	NetworkConfiguration            *networkShape
	ObservabilityConfiguration      *observabilityShape
	AutoScalingConfigurationSummary scalingSummary
}

type serviceSummary struct {
	ServiceName string
	ServiceId   string
	ServiceArn  string
	ServiceUrl  string `json:",omitempty"`
	CreatedAt   wire.Time
	UpdatedAt   wire.Time
	Status      string
}

type operation struct {
	Id        string
	Type      string
	Status    string
	TargetArn string
	StartedAt wire.Time
	EndedAt   wire.Time `json:",omitzero"`
	UpdatedAt wire.Time
}

// scalingSummary is all that lists and services tell of a scaling configuration.
type scalingSummary struct {
	AutoScalingConfigurationArn      string
	AutoScalingConfigurationName     string
	AutoScalingConfigurationRevision int
	CreatedAt                        wire.Time
	HasAssociatedService             bool
	IsDefault                        bool
	Status                           string
}

type scalingShape struct {
	scalingSummary
	Latest         bool
	MaxConcurrency int
	MinSize        int
	MaxSize        int
	DeletedAt      wire.Time `json:",omitzero"`
}
