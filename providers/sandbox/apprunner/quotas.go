package apprunner

// Quotas are the enforced ones by their codes in Service Quotas.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
func Quotas() map[string]int {
	return map[string]int{
		"L-69F96A0C": maxServices,
		"L-1BDBAAB6": maxConnections,
		"L-1D8C5BDD": maxScalingNames,
		"L-A0B46A0C": maxObservabilityNames,
		"L-F7ADEB8C": maxConnectors,
	}
}
