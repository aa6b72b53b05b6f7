package ec2_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ec2"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// answer is what the tests read of any response.
type answer struct {
	Vpcs    []string `xml:"vpcSet>item>vpcId"`
	Subnets []string `xml:"subnetSet>item>subnetId"`
	Zones   []string `xml:"subnetSet>item>availabilityZone"`
	Groups  []string `xml:"securityGroupInfo>item>groupId"`
	Of      string   `xml:"securityGroupInfo>item>vpcId"`
	Ends    []string `xml:"vpcEndpointSet>item>vpcEndpointId"`
	Code    string   `xml:"Errors>Error>Code"`
	Message string   `xml:"Errors>Error>Message"`
	Request string   `xml:"requestId"`
}

// caller sends forms, signed as AWS's clients sign them: the SDK for EC2 is too large to
// compile for this.
func caller(t *testing.T) func(secret, form string) (int, answer) {
	mux := wire.NewMux(wire.MuxOptions{Verifier: wiretest.Verifier()})
	mux.AddEC2(ec2.API(wiretest.Account, wiretest.Region))
	url := wiretest.Serve(t, mux)
	return func(secret, form string) (int, answer) {
		t.Helper()
		body := "Version=2016-11-15&Action=" + form
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		sum := sha256.Sum256([]byte(body))
		require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: wiretest.AccessKey, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "ec2", wiretest.Region, time.Now()))
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		var a answer
		require.NoError(t, xml.Unmarshal(b, &a), string(b))
		return response.StatusCode, a
	}
}

func TestDefaultVpc_hasSubnetsAndAGroup(t *testing.T) {
	t.Parallel()
	call := caller(t)
	get := func(form string) answer {
		t.Helper()
		code, a := call(wiretest.SecretKey, form)
		require.Equal(t, 200, code, a.Message)
		require.NotEmpty(t, a.Request)
		return a
	}
	vpcs := get("DescribeVpcs&Filter.1.Name=isDefault&Filter.1.Value.1=true").Vpcs
	require.Len(t, vpcs, 1)
	require.Regexp(t, "^vpc-0[0-9a-f]{16}$", vpcs[0])
	require.Equal(t, vpcs, get("DescribeVpcs&VpcId.1="+vpcs[0]).Vpcs)
	subnets := get("DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1=" + vpcs[0])
	require.Equal(t, []string{"us-east-1a", "us-east-1b", "us-east-1c"}, subnets.Zones)
	require.Equal(t, []string{"us-east-1c"}, get("DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1=x&Filter.1.Value.2=us-*-1c").Zones)
	require.Equal(t, subnets.Subnets[:1], get("DescribeSubnets&SubnetId.1="+subnets.Subnets[0]).Subnets)
	groups := get("DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=default")
	require.Len(t, groups.Groups, 1)
	require.Equal(t, vpcs[0], groups.Of)
	require.Empty(t, get("DescribeVpcEndpoints").Ends)
}

func TestCalls_areRefusedAsEC2Does(t *testing.T) {
	t.Parallel()
	call := caller(t)
	for form, want := range map[string]string{
		"DescribeVpcs&VpcId.1=vpc-1":                              "InvalidVpcID.NotFound: The vpc ID 'vpc-1' does not exist",
		"DescribeSubnets&SubnetId.1=subnet-1":                     "InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist",
		"DescribeSecurityGroups&GroupId.1=sg-1":                   "InvalidGroup.NotFound: The security group 'sg-1' does not exist",
		"DescribeVpcEndpoints&VpcEndpointId.1=vpce-1":             "InvalidVpcEndpointId.NotFound: The Vpc Endpoint Id 'vpce-1' does not exist",
		"DescribeVpcs&Filter.1.Name=colour&Filter.1.Value.1=blue": "InvalidParameterValue: The filter 'colour' is invalid",
		"RunInstances": "InvalidAction: The action RunInstances is not valid for this web service.",
	} {
		code, a := call(wiretest.SecretKey, form)
		require.Equal(t, 400, code)
		require.Equal(t, want, a.Code+": "+a.Message)
	}
	code, a := call("wrong", "DescribeVpcs")
	require.Equal(t, 401, code)
	require.Equal(t, "AuthFailure", a.Code)
}
