package ecr

// maxRepositories is the quota per account and Region.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const maxRepositories = 100_000

// Quotas are the enforced ones by their codes in Service Quotas.
func Quotas() map[string]int {
	return map[string]int{
		"L-CFEB8E8D": maxRepositories,
		"L-03A36CE1": maxImages,
	}
}
