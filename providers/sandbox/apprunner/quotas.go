package apprunner

import "cmp"

// quotaServices is the code of the quota of services.
const quotaServices = "L-69F96A0C"

// Quotas are the enforced ones of this account.
func (s *Service) Quotas() map[string]int {
	all := Quotas()
	all[quotaServices] = cmp.Or(s.o.Services, maxServices)
	return all
}

// Quotas are AWS's defaults of the enforced ones by their codes in Service Quotas.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
func Quotas() map[string]int {
	return map[string]int{
		quotaServices: maxServices,
		"L-1BDBAAB6":  maxConnections,
		"L-1D8C5BDD":  maxScalingNames,
		"L-A0B46A0C":  maxObservabilityNames,
		"L-F7ADEB8C":  maxConnectors,
	}
}
