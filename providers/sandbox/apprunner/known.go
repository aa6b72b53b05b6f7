package apprunner

// Status is a service's status as callers see it, and whether there is such a service.
func (s *Service) Status(arn string) (status string, known bool) {
	s.doc.View(func(st *state) {
		if r, err := s.find(st, arn); err == nil {
			status, known = s.status(r), true
		}
	})
	return status, known
}
