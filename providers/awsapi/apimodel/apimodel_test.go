package apimodel_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi/apimodel"
)

// TestCheck_canFail sends what AWS would refuse, once for each kind of mistake and each
// protocol.
func TestCheck_canFail(t *testing.T) {
	t.Parallel()
	const service = `{"ServiceName": "shop", "SourceConfiguration": {"ImageRepository": {"ImageIdentifier": "public.ecr.aws/a/b:c", "ImageRepositoryType": "ECR_PUBLIC"}}}`
	edited := func(old, new string) string { return strings.Replace(service, old, new, 1) }
	for name, tc := range map[string]struct {
		service, operation, path, body string
		want                           string // "" is a request that is right
	}{
		"right":            {"apprunner", "CreateService", "/", service, ""},
		"a wrong enum":     {"apprunner", "CreateService", "/", edited("ECR_PUBLIC", "DOCKER_HUB"), "apprunner CreateService: SourceConfiguration.ImageRepository.ImageRepositoryType: is none of ECR, ECR_PUBLIC"},
		"a missing member": {"apprunner", "CreateService", "/", edited(`"ServiceName": "shop", `, ""), "ServiceName: is required"},
		"an unknown one":   {"apprunner", "CreateService", "/", edited("ServiceName", "Name"), "Name: the API has no such member"},
		"a pattern":        {"apprunner", "CreateService", "/", edited("shop", "-shop"), "ServiceName: does not match"},
		"too short":        {"apprunner", "CreateService", "/", edited("shop", "sho"), "ServiceName: 3 characters is less than 4 characters"},
		"a wrong type":     {"apprunner", "CreateService", "/", edited(`"shop"`, "7"), "ServiceName: is no string"},
		"null":             {"apprunner", "CreateService", "/", edited(`"shop"`, "null"), "ServiceName: is null"},
		"out of range":     {"apprunner", "ListServices", "/", `{"MaxResults": 21}`, "MaxResults: 21 is more than 20"},
		"no whole number":  {"apprunner", "ListServices", "/", `{"MaxResults": 1.5}`, "MaxResults: is no integer"},
		"too many": {"ssm", "GetParameters", "/", `{"Names": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}`,
			"Names: 11 elements is more than 10 elements"},
		"an operation that is none": {"apprunner", "CreateServices", "/", "{}", `the model of apprunner has no operation "CreateServices"`},
		"no service":                {"lambda", "Invoke", "/", "{}", `no model of the service "lambda"`},

		"a right form":       {"iam", "TagRole", "/", "Action=TagRole&Version=2010-05-08&RoleName=a&Tags.member.1.Key=k&Tags.member.1.Value=", ""},
		"a form's pattern":   {"iam", "TagRole", "/", "Action=TagRole&Version=2010-05-08&RoleName=a+b&Tags.member.1.Key=k&Tags.member.1.Value=", "RoleName: does not match"},
		"a form's range":     {"iam", "ListRoles", "/", "Action=ListRoles&Version=2010-05-08&MaxItems=1001", "MaxItems: 1001 is more than 1000"},
		"a form's missing":   {"iam", "TagRole", "/", "Action=TagRole&Version=2010-05-08&RoleName=a", "Tags: is required"},
		"a form's unknown":   {"iam", "ListRoles", "/", "Action=ListRoles&Version=2010-05-08&Tag=1", "Tag: the API has no such member"},
		"a form's version":   {"sts", "GetCallerIdentity", "/", "Action=GetCallerIdentity&Version=2010-05-08", "Action: is"},
		"EC2's form":         {"ec2", "DescribeSubnets", "/", "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=subnet-1&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1", ""},
		"EC2's range":        {"ec2", "DescribeSubnets", "/", "Action=DescribeSubnets&Version=2016-11-15&MaxResults=4", "MaxResults: 4 is less than 5"},
		"right XML":          {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/Z1/rrset", records("CREATE", "60"), ""},
		"XML's enum":         {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/Z1/rrset", records("REPLACE", "60"), "ChangeBatch.Changes[0].Action: is none of CREATE, DELETE, UPSERT"},
		"XML's range":        {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/Z1/rrset", records("CREATE", "-1"), "ChangeBatch.Changes[0].ResourceRecordSet.TTL: -1 is less than 0"},
		"XML's missing":      {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/Z1/rrset", "", "ChangeBatch: is required"},
		"another path":       {"route53", "ChangeResourceRecordSets", "/2013-04-01/zone/Z1/rrset", records("CREATE", "60"), "/2013-04-01/zone/Z1/rrset is not"},
		"a path's label":     {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/" + strings.Repeat("Z", 33) + "/rrset", records("CREATE", "60"), "HostedZoneId: 33 characters is more than 32 characters"},
		"a query's unknown":  {"route53", "ChangeResourceRecordSets", "/2013-04-01/hostedzone/Z1/rrset?dry=1", records("CREATE", "60"), "dry: the API has no such parameter"},
		"right CBOR":         {"monitoring", "ListMetrics", "/service/GraniteServiceVersion20100801/operation/ListMetrics", metrics("AWS/AppRunner", "PT3H"), ""},
		"CBOR's enum":        {"monitoring", "ListMetrics", "/service/GraniteServiceVersion20100801/operation/ListMetrics", metrics("AWS/AppRunner", "PT4H"), "RecentlyActive: is none of PT3H"},
		"CBOR's pattern":     {"monitoring", "ListMetrics", "/service/GraniteServiceVersion20100801/operation/ListMetrics", metrics(":AWS", "PT3H"), "Namespace: does not match"},
		"CBOR's path":        {"monitoring", "ListMetrics", "/", metrics("AWS/AppRunner", "PT3H"), "path: is"},
		"another JSON shape": {"ecr", "BatchGetImage", "/", `[]`, "is no structure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			models, err := apimodel.Load()
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, tc.path, nil)
			target := map[string]string{"apprunner": "AppRunner", "ssm": "AmazonSSM", "ecr": "AmazonEC2ContainerRegistry_V20150921"}[tc.service]
			r.Header.Set("X-Amz-Target", target+"."+tc.operation)
			err = models.Check(tc.service, tc.operation, r, []byte(tc.body))
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.want)
			}
		})
	}
}

func metrics(namespace, active string) string {
	return string(cbor.Encode(cbor.Map{"Namespace": cbor.String(namespace), "RecentlyActive": cbor.String(active),
		"IncludeLinkedAccounts": cbor.Bool(true), "Dimensions": cbor.List{cbor.Map{"Name": cbor.String("ServiceName")}}}))
}

func records(action, ttl string) string {
	return `<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes><Change><Action>` + action +
		`</Action><ResourceRecordSet><Name>a.example</Name><Type>A</Type><TTL>` + ttl + `</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`
}

// TestCheck_repeatsNoValue: what is wrong may be a secret.
func TestCheck_repeatsNoValue(t *testing.T) {
	t.Parallel()
	models, err := apimodel.Load()
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Amz-Target", "AmazonSSM.PutParameter")
	err = models.Check("ssm", "PutParameter", r, []byte(`{"Name": 1, "Value": ["s3cret"], "Type": "s3cret"}`))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}
