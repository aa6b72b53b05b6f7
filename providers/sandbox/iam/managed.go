package iam

import (
	"crypto/sha256"
	"encoding/base32"
)

// managed are the AWS managed policies that the sandbox knows, with their documents.
// Others cannot be attached: what they allow would have to be guessed.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
var managed = map[string]string{
	"arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess": allow(
		"ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
		"ecr:DescribeImages", "ecr:GetAuthorizationToken"),
	"arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly": allow(
		"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer",
		"ecr:GetRepositoryPolicy", "ecr:DescribeRepositories", "ecr:ListImages", "ecr:DescribeImages",
		"ecr:BatchGetImage", "ecr:GetLifecyclePolicy", "ecr:GetLifecyclePolicyPreview",
		"ecr:ListTagsForResource", "ecr:DescribeImageScanFindings"),
	"arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy": allow(
		"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer",
		"ecr:BatchGetImage", "logs:CreateLogStream", "logs:PutLogEvents"),
	"arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess": allow(
		"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules",
		"xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries"),
	"arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess": allow("ssm:Describe*", "ssm:Get*", "ssm:List*"),
	"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess": allow(
		"s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
	"arn:aws:iam::aws:policy/AmazonS3FullAccess":  allow("s3:*", "s3-object-lambda:*"),
	"arn:aws:iam::aws:policy/AdministratorAccess": allow("*"),
}

// allow is a document that allows the actions on everything.
func allow(actions ...string) string {
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[`
	for i, action := range actions {
		if i > 0 {
			document += ","
		}
		document += `"` + action + `"`
	}
	return document + `],"Resource":"*"}]}`
}

// policyID is the fixed unique id of a managed policy.
func policyID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
