package secretsmanager

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// reference reads what DescribeSecret tells. AWS's own key for secrets lets everybody
// in the account decrypt who may read the secret, so it is not mentioned.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func reference(out *sdk.DescribeSecretOutput) Reference {
	changed := out.LastChangedDate
	if changed == nil {
		changed = out.CreatedDate
	}
	ref := Reference{
		ARN:          aws.ToString(out.ARN),
		LastModified: aws.ToTime(changed),
		Exists:       out.DeletedDate == nil,
		Deleting:     out.DeletedDate != nil,
	}
	for version, stages := range out.VersionIdsToStages {
		for _, stage := range stages {
			if ref.Staged == nil {
				ref.Staged = map[string]string{}
			}
			ref.Staged[stage] = version
		}
	}
	ref.Version = ref.Staged["AWSCURRENT"]
	if key := aws.ToString(out.KmsKeyId); !strings.HasSuffix(key, "alias/aws/secretsmanager") {
		ref.Key = key
	}
	return ref
}
