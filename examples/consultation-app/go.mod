module example.com/consultation-app

go 1.24
