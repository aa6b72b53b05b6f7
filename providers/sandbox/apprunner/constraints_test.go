package apprunner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

// raw calls an operation as a client without checks of its own would.
func (r *rig) raw(operation, body string) (status int, answer map[string]any) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.server.URL, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("X-Amz-Target", "AppRunner."+operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}, req, hex.EncodeToString(sum[:]), "apprunner", region, time.Now())
	require.NoError(r.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, json.Unmarshal(b, &answer), string(b))
	return res.StatusCode, answer
}

// What each operation refuses by its schema. A row has the body and, for each problem,
// path, value and constraint. "null" is the value of what is missing.
func TestOperations_checkTheirSchema(t *testing.T) {
	t.Parallel()
	const (
		null   = "Member must not be null"
		one    = "Member must have length greater than or equal to 1"
		four   = "Member must have length greater than or equal to 4"
		most   = "Member must have value less than or equal to "
		arn    = `Member must satisfy regular expression pattern: arn:aws(-[\w]+)*:[a-z0-9-\.]{0,63}:[a-z0-9-\.]{0,63}:[0-9]{12}:(\w|\/|-){1,1011}`
		name32 = `Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\-_]{3,31}`
		name40 = `Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\-_]{3,39}`
	)
	type problem [3]string
	missing := func(paths ...string) (all []problem) {
		for _, path := range paths {
			all = append(all, problem{path, "null", null})
		}
		return all
	}
	badARN := func(path string) []problem { return []problem{{path, "x", arn}} }
	results := func(limit int) []problem {
		return []problem{{"maxResults", strconv.Itoa(limit + 1), most + strconv.Itoa(limit)}}
	}
	page := func(limit int) []problem {
		return []problem{{"nextToken", "", one}, {"maxResults", strconv.Itoa(limit + 1), most + strconv.Itoa(limit)}}
	}
	rows := []struct {
		operation, body string
		problems        []problem
	}{
		{"CreateService", `{"EncryptionConfiguration":{},"Tags":[{"Value":"v"}]}`, missing("serviceName", "sourceConfiguration", "encryptionConfiguration.kmsKey", "tags.member.key")},
		{"CreateService", `{"ServiceName":"shop","SourceConfiguration":{"ImageRepository":{}}}`, missing("sourceConfiguration.imageRepository.imageIdentifier", "sourceConfiguration.imageRepository.imageRepositoryType")},
		{"UpdateService", `{"NetworkConfiguration":{"IpAddressType":"IPV6","EgressConfiguration":{"EgressType":"NONE","VpcConnectorArn":"x"}}}`, append(missing("serviceArn"),
			problem{"networkConfiguration.ipAddressType", "IPV6", "Member must satisfy enum value set: [IPV4, DUAL_STACK]"},
			problem{"networkConfiguration.egressConfiguration.egressType", "NONE", "Member must satisfy enum value set: [DEFAULT, VPC]"},
			problem{"networkConfiguration.egressConfiguration.vpcConnectorArn", "x", arn})},
		{"DescribeService", `{}`, missing("serviceArn")},
		{"DescribeService", `{"ServiceArn":""}`, []problem{{"serviceArn", "", one}, {"serviceArn", "", arn}}},
		{"DeleteService", `{"ServiceArn":"x"}`, badARN("serviceArn")},
		{"PauseService", `{"ServiceArn":"x"}`, badARN("serviceArn")},
		{"ResumeService", `{"ServiceArn":"x"}`, badARN("serviceArn")},
		{"StartDeployment", `{"ServiceArn":"x"}`, badARN("serviceArn")},
		{"ListServices", `{"NextToken":"","MaxResults":21}`, results(20)},
		{"ListOperations", `{"NextToken":"","MaxResults":21}`, append(missing("serviceArn"), results(20)...)},
		{"CreateAutoScalingConfiguration", `{"MaxConcurrency":0}`, append(missing("autoScalingConfigurationName"), problem{"maxConcurrency", "0", "Member must have value greater than or equal to 1"})},
		{"DescribeAutoScalingConfiguration", `{}`, missing("autoScalingConfigurationArn")},
		{"DeleteAutoScalingConfiguration", `{}`, missing("autoScalingConfigurationArn")},
		{"UpdateDefaultAutoScalingConfiguration", `{}`, missing("autoScalingConfigurationArn")},
		{"ListAutoScalingConfigurations", `{"AutoScalingConfigurationName":"a b","NextToken":"","MaxResults":101}`, append([]problem{{"autoScalingConfigurationName", "a b", four}, {"autoScalingConfigurationName", "a b", name32}}, page(100)...)},
		{"ListServicesForAutoScalingConfiguration", `{"NextToken":"","MaxResults":101}`, append(missing("autoScalingConfigurationArn"), page(100)...)},
		{"CreateVpcConnector", `{}`, missing("vpcConnectorName", "subnets")},
		{"CreateVpcConnector", `{"VpcConnectorName":"-abc","Subnets":[]}`, []problem{{"vpcConnectorName", "-abc", name40}}},
		{"DescribeVpcConnector", `{"VpcConnectorArn":"x"}`, badARN("vpcConnectorArn")},
		{"DeleteVpcConnector", `{"VpcConnectorArn":"x"}`, badARN("vpcConnectorArn")},
		{"ListVpcConnectors", `{"NextToken":"","MaxResults":101}`, page(100)},
		{"CreateVpcIngressConnection", `{}`, missing("serviceArn", "vpcIngressConnectionName", "ingressVpcConfiguration")},
		{"DescribeVpcIngressConnection", `{"VpcIngressConnectionArn":"x"}`, badARN("vpcIngressConnectionArn")},
		{"UpdateVpcIngressConnection", `{}`, missing("vpcIngressConnectionArn", "ingressVpcConfiguration")},
		{"DeleteVpcIngressConnection", `{"VpcIngressConnectionArn":"x"}`, badARN("vpcIngressConnectionArn")},
		{"ListVpcIngressConnections", `{"Filter":{"ServiceArn":"x"},"NextToken":"","MaxResults":101}`, append(badARN("filter.serviceArn"), page(100)...)},
		{"CreateObservabilityConfiguration", `{"TraceConfiguration":{}}`, missing("observabilityConfigurationName", "traceConfiguration.vendor")},
		{"DescribeObservabilityConfiguration", `{"ObservabilityConfigurationArn":"x"}`, badARN("observabilityConfigurationArn")},
		{"DeleteObservabilityConfiguration", `{"ObservabilityConfigurationArn":"x"}`, badARN("observabilityConfigurationArn")},
		{"ListObservabilityConfigurations", `{"ObservabilityConfigurationName":"a b","NextToken":"","MaxResults":101}`, append([]problem{{"observabilityConfigurationName", "a b", four}, {"observabilityConfigurationName", "a b", name32}}, page(100)...)},
		{"CreateConnection", `{}`, missing("connectionName", "providerType")},
		{"DeleteConnection", `{"ConnectionArn":"x"}`, badARN("connectionArn")},
		{"ListConnections", `{"ConnectionName":"a b","NextToken":"","MaxResults":101}`, append([]problem{{"connectionName", "a b", four}, {"connectionName", "a b", name32}}, page(100)...)},
		{"AssociateCustomDomain", `{}`, missing("serviceArn", "domainName")},
		{"DisassociateCustomDomain", `{}`, missing("serviceArn", "domainName")},
		{"DescribeCustomDomains", `{"NextToken":"","MaxResults":6}`, append(missing("serviceArn"), results(5)...)},
		{"TagResource", `{}`, missing("resourceArn", "tags")},
		{"UntagResource", `{"TagKeys":["aws:x"]}`, append(missing("resourceArn"), problem{"tagKeys.member", "aws:x", "Member must satisfy regular expression pattern: ^(?!aws:).+"})},
		{"ListTagsForResource", `{}`, missing("resourceArn")},
	}
	r := newRig(t)
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row.operation] = true
		var texts []string
		for _, p := range row.problems {
			value := "'" + p[1] + "'"
			if p[1] == "null" {
				value = "null"
			}
			texts = append(texts, "Value "+value+" at '"+p[0]+"' failed to satisfy constraint: "+p[2])
		}
		errors := "1 validation error detected: "
		if len(texts) > 1 {
			errors = strconv.Itoa(len(texts)) + " validation errors detected: "
		}
		status, answer := r.raw(row.operation, row.body)
		require.Equal(t, http.StatusBadRequest, status, row.operation)
		require.Equal(t, map[string]any{"__type": "InvalidRequestException", "Message": errors + strings.Join(texts, "; ")}, answer, row.operation)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(r.s.API().Operations)), slices.Collect(maps.Keys(seen)), "each operation has a row")
}

// The Go SDK cannot say that it wants old revisions, too: it does not send false.
func TestLists_haveOldRevisionsWhenAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 2 {
		r.mustRevise("name")
		_, err := r.trace("name")
		require.NoError(t, err)
	}
	for operation, list := range map[string]string{"ListAutoScalingConfigurations": "AutoScalingConfigurationSummaryList", "ListObservabilityConfigurations": "ObservabilityConfigurationSummaryList"} {
		for body, want := range map[string]int{`{}`: 2, `{"LatestOnly":true}`: 2, `{"LatestOnly":false}`: 3} {
			_, answer := r.raw(operation, body)
			require.Len(t, answer[list], want, operation+body)
		}
	}
}

// A key is for the life of a service: no update changes it, and no update needs to send it.
func TestEncryption_isForLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := &types.EncryptionConfiguration{KmsKey: aws.String("arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000001")}
	require.Nil(t, r.create(func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String("plain") }).EncryptionConfiguration, "AWS's own key is not shown")
	s := r.create(func(in *sdk.CreateServiceInput) { in.EncryptionConfiguration = key })
	require.Equal(t, key, s.EncryptionConfiguration)
	_, answer := r.raw("UpdateService", `{"ServiceArn":"`+*s.ServiceArn+`","InstanceConfiguration":{},"EncryptionConfiguration":{"KmsKey":"arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000002"}}`)
	r.follow(s.ServiceArn, aws.String(answer["OperationId"].(string)))
	require.Equal(t, key, r.describe(s.ServiceArn).EncryptionConfiguration)
}
